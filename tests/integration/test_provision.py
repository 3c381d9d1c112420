"""`framegate provision` and the look at the queues when a process starts, on moto."""

import json
from typing import Any

import pytest

from framegate.adapters.aws.client import make_client
from framegate.bootstrap import check_queues, provision
from framegate.kernel.errors import ConfigurationError
from framegate.kernel.states import Stage
from framegate.pipeline import ALL_QUEUES
from framegate.settings import Settings
from tests.support.aws import REGION, lead_to


@pytest.fixture
def settings(moto_url: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Settings:
    lead_to(moto_url, monkeypatch)
    prefix = f"{abs(hash(request.node.name)) % 10**9}-"
    return Settings.read(
        queue={"kind": "sqs", "prefix": prefix},
        blobs={"kind": "s3", "bucket": f"bucket-{prefix}x"},
        events={"queue": f"{prefix}bucket-events"},
    )


def attributes(sqs: Any, name: str) -> dict[str, str]:
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    return dict(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"])


def test_what_is_missing_is_made_once_under_the_names_that_the_settings_give(settings: Settings) -> None:
    prefix, events = settings.queue.prefix, settings.events.queue
    named = [prefix + queue for queue in ALL_QUEUES] + [events]
    bucket = settings.blobs.bucket
    told = f"events of {bucket}/uploads/ to {events}"
    assert sorted(provision(settings)) == sorted([*named, *(f"{n}-dead" for n in named), bucket, told])
    assert provision(settings) == []


def test_dead_letters_are_kept_longer_than_their_messages_can_live(settings: Settings) -> None:
    provision(settings)
    sqs = make_client("sqs", REGION)
    queue = attributes(sqs, settings.queue.prefix + ALL_QUEUES[0])
    dead = attributes(sqs, f"{settings.queue.prefix}{ALL_QUEUES[0]}-dead")
    sqs.close()
    assert int(dead["MessageRetentionPeriod"]) > int(queue["MessageRetentionPeriod"])
    policy = json.loads(queue["RedrivePolicy"])
    assert policy["deadLetterTargetArn"] == dead["QueueArn"]
    assert int(policy["maxReceiveCount"]) == 50


def test_a_process_looks_only_at_the_queues_of_its_stages(settings: Settings) -> None:
    provision(settings)
    sqs = make_client("sqs", REGION)
    gone = f"{settings.queue.prefix}frame-submitted-bulk"
    sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName=gone)["QueueUrl"])
    sqs.close()
    check_queues(settings, [Stage.INFERENCE, Stage.GATE])
    with pytest.raises(ConfigurationError, match=rf"{gone}: does not exist.*FRAMEGATE_QUEUE__PREFIX.*sqs:GetQueueUrl"):
        check_queues(settings, [Stage.PREPROCESS])


def test_a_bucket_that_tells_somebody_else_is_left_as_it_is(settings: Settings) -> None:
    events, bucket = settings.events.queue, settings.blobs.bucket
    provision(settings)
    s3 = make_client("s3", REGION)
    told = s3.get_bucket_notification_configuration(Bucket=bucket)["QueueConfigurations"][0]
    assert told["QueueArn"].endswith(f":{events}")
    changed = {"QueueArn": told["QueueArn"], "Events": ["s3:ObjectRemoved:*"], "Id": "theirs"}
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"QueueConfigurations": [changed]}
    )
    assert provision(settings) == []
    (left,) = s3.get_bucket_notification_configuration(Bucket=bucket)["QueueConfigurations"]
    assert left["Id"] == "theirs"
    s3.close()


def test_where_nothing_is_in_aws_there_is_nothing_to_provide() -> None:
    with pytest.raises(ConfigurationError, match="FRAMEGATE_QUEUE__KIND=sqs"):
        provision(Settings.read())
