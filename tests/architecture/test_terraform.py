"""The Terraform configuration follows the pipeline's table, keeps what is accepted, and grants each stage the least.

Parsed, and computed by Terraform itself; no provider and no AWS has a part in it.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from framegate.kernel.messages import FrameInspected, FrameSubmitted
from framegate.kernel.states import Stage
from framegate.pipeline import ALL_QUEUES, PIPELINE, STEPS, queue_name, queues_at, queues_of
from framegate.settings import Settings
from tests.support.terraform import (
    ACCOUNT,
    BUCKET_ARN,
    DIRECTORY,
    EVENTS,
    KEY,
    REGION,
    compute,
    grants,
    parsed,
    policy,
    terraform,
)

#: Every source of a message: an image refused early goes to the gate, a frame that is gone is prepared again, and what is in
#: doubt is looked at again.
SENDS = {step.stage: {step.emits} for step in PIPELINE if step.emits}
SENDS[Stage.PREPROCESS] = SENDS[Stage.PREPROCESS] | {FrameInspected}
SENDS[Stage.INFERENCE] = SENDS[Stage.INFERENCE] | {FrameSubmitted}
SENDS[Stage.GATE] = {FrameSubmitted}
SENDS[Stage.ALERTS] = set()
SENDS[Stage.SWEEP] = {step.consumes for step in PIPELINE if step.consumes}
CONSUMES = {step.stage: list(queues_of(step.stage)) for step in PIPELINE}
CONSUMES[Stage.INGEST] = [EVENTS]
GET, VERSION, PUT, DELETE = "s3:GetObject", "s3:GetObjectVersion", "s3:PutObject", "s3:DeleteObject"
OBJECTS = {
    Stage.INGEST: {
        "originals/": {GET, PUT, DELETE},
        "uploads/": {GET, VERSION, PUT, DELETE},
        "models/": {GET},
    },
    Stage.PREPROCESS: {"originals/": {GET}, "prepared/": {PUT}},
    Stage.INFERENCE: {"prepared/": {GET, DELETE}, "models/": {GET}},
    Stage.GATE: {},
    Stage.ALERTS: {},
    Stage.SWEEP: {"prepared/": {DELETE}, "originals/": {DELETE}, "uploads/": {DELETE}},
}
ARN = f"arn:aws:sqs:{REGION}:{ACCOUNT}:framegate-"


# Parsed


def test_the_stages_are_those_of_the_pipeline() -> None:
    stages = parsed()["locals"]["stages"]
    assert set(stages) == set(Stage)
    for stage, step in STEPS.items():
        consumed = [f'"{step.consumes.name}"'] if step.consumes else []
        assert stages[stage]["consumes"] == (['"bucket-events"'] if stage is Stage.INGEST else consumed)
        assert stages[stage]["sends"] != [] or step.emits is None


def test_every_reference_leads_somewhere() -> None:
    blocks = parsed()
    known = {f"local.{name}" for name in blocks["locals"]} | {f"var.{name}" for name in blocks["variable"]}
    known |= set(blocks["resource"]) | {f"data.{address}" for address in blocks["data"]}
    used = {
        match[0]
        for file in DIRECTORY.glob("*.tf")
        for line in file.read_text("utf-8").splitlines()
        if not line.lstrip().startswith(("#", "description", "error_message"))
        for match in re.finditer(r"(?<![\w.\"])(?:var|local|data\.aws_\w+|aws_\w+)\.\w+", line)
    }
    assert used - known == set()
    assert {name for name in known if name.startswith(("var.", "local."))} - used == set()


def test_every_variable_and_output_says_what_it_is() -> None:
    for name, body in (parsed()["variable"] | parsed()["output"]).items():
        assert len(body["description"]) > 15, name
    assert all("type" in variable for variable in parsed()["variable"].values())


def test_the_files_are_formatted() -> None:
    done = terraform("fmt", "-check", "-diff", "-recursive", str(DIRECTORY), cwd=DIRECTORY)
    assert done.returncode == 0, done.stdout


# Computed


def test_every_queue_of_the_pipeline_exists_with_its_dead_letters(computed: dict[str, Any]) -> None:
    queues, dead = computed["aws_sqs_queue.this"], computed["aws_sqs_queue.dead"]
    assert set(queues) == set(dead) == {*ALL_QUEUES, EVENTS}
    for key, queue in queues.items():
        assert queue["name"] == Settings().queue.prefix + key
        assert dead[key]["name"] == f"{queue['name']}-dead"
        redrive = json.loads(queue["redrive_policy"])
        assert redrive == {"deadLetterTargetArn": f"{ARN}{key}-dead", "maxReceiveCount": 50}
        allowed = json.loads(computed["aws_sqs_queue_redrive_allow_policy.dead"][key]["redrive_allow_policy"])
        assert allowed == {"redrivePermission": "byQueue", "sourceQueueArns": [f"{ARN}{key}"]}


def test_dead_letters_outlive_their_source_and_receives_outlast_attempts(computed: dict[str, Any]) -> None:
    for key, queue in computed["aws_sqs_queue.this"].items():
        dead = computed["aws_sqs_queue.dead"][key]
        # A dead letter keeps the time of its first send.
        assert queue["message_retention_seconds"] == 4 * 86400
        assert dead["message_retention_seconds"] == 14 * 86400
        assert queue["visibility_timeout_seconds"] == Settings().worker.lease_s
        assert json.loads(queue["redrive_policy"])["maxReceiveCount"] > 2 * Settings().worker.last_attempt
        for each in (queue, dead):
            assert each["receive_wait_time_seconds"] == 20
            assert each["sqs_managed_sse_enabled"] is True


def test_every_queue_refuses_plain_text_and_only_the_bucket_may_send_events(computed: dict[str, Any]) -> None:
    for kind, suffix in (("this", ""), ("dead", "-dead")):
        for key, body in computed[f"aws_sqs_queue_policy.{kind}"].items():
            arn = f"{ARN}{key}{suffix}"
            deny, *allow = policy(body["policy"])
            assert (deny["Effect"], deny["Principal"], deny["Resource"]) == ("Deny", "*", arn)
            assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
            if (kind, key) != ("this", EVENTS):
                assert allow == []
                continue
            (send,) = allow
            assert send["Principal"] == {"Service": "s3.amazonaws.com"}
            assert (send["Action"], send["Resource"]) == ("sqs:SendMessage", arn)
            assert send["Condition"] == {
                "ArnEquals": {"aws:SourceArn": BUCKET_ARN},
                "StringEquals": {"aws:SourceAccount": ACCOUNT},
            }


@pytest.mark.parametrize("stage", Stage)
def test_a_stage_may_do_what_it_does_and_nothing_else(computed: dict[str, Any], stage: Stage) -> None:
    consumed = {f"{ARN}{queue}" for queue in CONSUMES[stage]}
    targets = {f"{ARN}{queue_name(m, lane)}" for m in SENDS[stage] for lane in ("live", "bulk")}
    targets |= {f"{arn}-dead" for arn in consumed}
    expected = {
        (f"sqs:{action}", arn)
        for arn in consumed
        for action in ("ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility")
    }
    expected |= {("sqs:SendMessage", arn) for arn in targets}
    expected |= {
        (f"sqs:{action}", arn) for arn in consumed | targets for action in ("GetQueueUrl", "GetQueueAttributes")
    }
    if stage is Stage.INGEST:
        # People look at dead letters, and send them back, over the API.
        queues = {f"{ARN}{queue}" for queue in (*ALL_QUEUES, EVENTS)}
        looks = {"ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "GetQueueUrl", "GetQueueAttributes"}
        expected |= {(f"sqs:{action}", f"{arn}-dead") for action in looks for arn in queues}
        expected |= {
            (f"sqs:{action}", arn) for action in ("SendMessage", "GetQueueUrl", "GetQueueAttributes") for arn in queues
        }
    if stage is Stage.SWEEP:
        # It tells how many wait for people.
        dead = {f"{ARN}{queue}-dead" for queue in (*ALL_QUEUES, EVENTS)}
        expected |= {(f"sqs:{action}", arn) for arn in dead for action in ("GetQueueUrl", "GetQueueAttributes")}
    expected |= {
        (action, f"{BUCKET_ARN}/{prefix}*") for prefix, actions in OBJECTS[stage].items() for action in actions
    }
    expected |= {("s3:ListBucket", BUCKET_ARN)}
    assert grants(policy(computed["aws_iam_role_policy.stage"][stage]["policy"])) == expected


@pytest.mark.parametrize("stage", Stage)
def test_a_stage_may_see_the_queues_that_it_looks_at_when_it_starts(computed: dict[str, Any], stage: Stage) -> None:
    allowed = grants(policy(computed["aws_iam_role_policy.stage"][stage]["policy"]))
    for queue in queues_at(stage):
        assert {("sqs:GetQueueUrl", f"{ARN}{queue}"), ("sqs:GetQueueAttributes", f"{ARN}{queue}")} <= allowed


def test_keda_may_count_what_waits_for_the_stages_and_nothing_else(computed: dict[str, Any]) -> None:
    allowed = grants(policy(computed["aws_iam_role_policy.keda"]["policy"]))
    assert allowed == {("sqs:GetQueueAttributes", f"{ARN}{queue}") for queue in ALL_QUEUES}


def test_a_key_is_for_those_who_read_or_write_objects_and_only_through_s3(tmp_path: Path) -> None:
    policies = compute(tmp_path, kms_key_arn=KEY)["aws_iam_role_policy.stage"]
    users = {}
    for stage, body in policies.items():
        for statement in policy(body["policy"]):
            if KEY in statement["Resource"]:
                users[stage] = statement
    assert set(users) == {"ingest", "preprocess", "inference"}
    for statement in users.values():
        assert statement["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]
        assert statement["Condition"] == {"StringEquals": {"kms:ViaService": f"s3.{REGION}.amazonaws.com"}}


def test_no_policy_allows_a_wildcard(computed: dict[str, Any]) -> None:
    texts = [body["policy"] for body in computed["aws_iam_role_policy.stage"].values()]
    texts += [computed[address]["policy"] for address in ("aws_iam_role_policy.keda", "aws_iam_policy.operator")]
    for action, target in grants([statement for text in texts for statement in policy(text)]):
        assert "*" not in action
        assert re.fullmatch(
            rf"{ARN}[a-z-]+|{BUCKET_ARN}|{BUCKET_ARN}/(originals|prepared|uploads|models)/\*", target
        ), target


def test_only_the_service_account_of_a_role_may_take_it(computed: dict[str, Any]) -> None:
    roles = computed["aws_iam_role.stage"]
    assert set(roles) == set(Stage)
    subjects = {role["name"]: f"framegate:framegate-{stage}" for stage, role in roles.items()}
    subjects["framegate-keda"] = "keda:keda-operator"
    issuer = f"oidc.eks.{REGION}.amazonaws.com/id/ABC"
    for role in (*roles.values(), computed["aws_iam_role.keda"]):
        (trust,) = policy(role["assume_role_policy"])
        assert trust["Action"] == "sts:AssumeRoleWithWebIdentity"
        assert trust["Principal"] == {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer}"}
        assert trust["Condition"] == {
            "StringEquals": {
                f"{issuer}:aud": "sts.amazonaws.com",
                f"{issuer}:sub": f"system:serviceaccount:{subjects[role['name']]}",
            }
        }


def test_the_environment_is_what_the_pipeline_reads(computed: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    of_stages = computed["local.stage_environment"]
    assert set(of_stages) == {Stage.INGEST, Stage.SWEEP}, "who receives events, and who counts their dead letters"
    environment = computed["local.environment"] | of_stages[Stage.INGEST] | of_stages[Stage.SWEEP]
    known = {variable for variable, _, _ in Settings().describe()} | {"AWS_REGION"}
    assert set(environment) <= known
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    settings = Settings.read()
    assert (settings.queue.kind, settings.blobs.kind) == ("sqs", "s3")
    assert settings.blobs.bucket == computed["aws_s3_bucket.this"]["bucket"]
    assert (settings.traces.endpoint, settings.traces.sample) == ("", Settings().traces.sample)
    assert settings.events.queue == computed["aws_sqs_queue.this"][EVENTS]["name"]
    assert settings.worker.lease_s == computed["aws_sqs_queue.this"][EVENTS]["visibility_timeout_seconds"]
