"""Topics of Amazon SNS: only those that are named, and only for the stages that send."""

from pathlib import Path

from framegate.kernel.states import Stage
from tests.support.terraform import compute, grants, policy

TOPIC = "arn:aws:sns:eu-central-1:123456789012:alerts"


def test_only_the_stages_that_tell_people_may_publish_and_only_to_the_named_topics(tmp_path: Path) -> None:
    computed = compute(tmp_path, hook_topic_arns=[TOPIC])
    for stage in Stage:
        allowed = grants(policy(computed["aws_iam_role_policy.stage"][stage]["policy"]))
        published = {grant for grant in allowed if grant[0].startswith("sns:")}
        assert published == ({("sns:Publish", TOPIC)} if stage in (Stage.ALERTS, Stage.INGEST) else set()), stage
