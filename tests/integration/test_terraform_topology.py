"""Queues and bucket, as Terraform computes them, made on moto's server: an upload arrives as a message.

`test_terraform_applies` lets Terraform and its provider do the same, where the provider can be had.
"""

import json
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import boto3
import pytest

from tests.support.terraform import ACCOUNT, DIRECTORY, EVENTS, REGION, VARIABLES, compute, terraform

#: moto keeps what it has for as long as the process lives.
_names = (f"test-{number}" for number in count(1))
KEY = "uploads/dock 3/Paket ü+1.jpg"
#: What the provider calls the attributes of SQS.
ATTRIBUTES = {
    "message_retention_seconds": "MessageRetentionPeriod",
    "receive_wait_time_seconds": "ReceiveMessageWaitTimeSeconds",
    "visibility_timeout_seconds": "VisibilityTimeout",
    "redrive_policy": "RedrivePolicy",
}
OVERRIDE = """
provider "aws" {{
  access_key                  = "test"
  secret_key                  = "test"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
  s3_use_path_style           = true
  endpoints {{
    iam = "{url}"
    s3  = "{url}"
    sqs = "{url}"
    sts = "{url}"
  }}
}}
"""
TARGETS = [
    "aws_s3_bucket_notification.this",
    "aws_s3_bucket_lifecycle_configuration.this",
    "aws_sqs_queue_redrive_allow_policy.dead",
    "aws_sqs_queue_policy.dead",
    "aws_iam_role_policy.stage",
    "aws_iam_role_policy.keda",
]


def client(service: str, url: str) -> Any:
    return boto3.client(
        service, endpoint_url=url, region_name=REGION, aws_access_key_id="test", aws_secret_access_key="test"
    )


def make(computed: dict[str, Any], sqs: Any, s3: Any) -> None:
    """What Terraform would make, in its order: dead letters, queues, policies, bucket, notification."""
    for kind in ("dead", "this"):
        for body in computed[f"aws_sqs_queue.{kind}"].values():
            attributes = {name: str(body[argument]) for argument, name in ATTRIBUTES.items() if argument in body}
            attributes["SqsManagedSseEnabled"] = str(body["sqs_managed_sse_enabled"]).lower()
            sqs.create_queue(QueueName=body["name"], Attributes=attributes)
    for kind in ("dead", "this"):
        for key, body in computed[f"aws_sqs_queue_policy.{kind}"].items():
            url = sqs.get_queue_url(QueueName=computed[f"aws_sqs_queue.{kind}"][key]["name"])["QueueUrl"]
            sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": body["policy"]})
    for key, body in computed["aws_sqs_queue_redrive_allow_policy.dead"].items():
        url = sqs.get_queue_url(QueueName=computed["aws_sqs_queue.dead"][key]["name"])["QueueUrl"]
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedriveAllowPolicy": body["redrive_allow_policy"]})
    bucket = computed["aws_s3_bucket.this"]["bucket"]
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    # Not the bucket's policy: moto takes no notice of its condition and denies everything.
    s3.put_bucket_versioning(
        Bucket=bucket,
        VersioningConfiguration={
            "Status": computed["aws_s3_bucket_versioning.this"]["versioning_configuration"][0]["status"]
        },
    )
    arn = computed["local.queue_arns"][EVENTS]
    queues = [
        {
            "QueueArn": arn,
            "Events": queue["events"],
            "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": queue["filter_prefix"]}]}},
        }
        for queue in computed["aws_s3_bucket_notification.this"]["queue"]
    ]
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={"QueueConfigurations": queues})


def records(sqs: Any, queue: str) -> list[dict[str, Any]]:
    """Of all messages that wait; S3's test event has none."""
    url, found = sqs.get_queue_url(QueueName=queue)["QueueUrl"], []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=0).get("Messages"):
        for message in messages:
            found += json.loads(message["Body"]).get("Records", [])
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return found


def upload_and_look(sqs: Any, s3: Any, bucket: str, queue: str) -> None:
    assert "VersionId" in s3.put_object(Bucket=bucket, Key=KEY, Body=b"jpeg")
    s3.put_object(Bucket=bucket, Key="originals/x.jpg", Body=b"not told of")
    (record,) = records(sqs, queue)
    assert record["eventName"].startswith("ObjectCreated:")
    assert record["s3"]["bucket"]["name"] == bucket
    said = record["s3"]["object"]
    assert said["key"] != KEY
    assert unquote_plus(said["key"]) == KEY
    assert said["size"] == len(b"jpeg")


def test_an_upload_arrives_as_an_event_with_its_encoded_key(moto_url: str, tmp_path: Path) -> None:
    computed = compute(tmp_path, name=next(_names))
    sqs, s3 = client("sqs", moto_url), client("s3", moto_url)
    make(computed, sqs, s3)
    upload_and_look(sqs, s3, computed["aws_s3_bucket.this"]["bucket"], computed["aws_sqs_queue.this"][EVENTS]["name"])


def test_a_message_that_nobody_settles_ends_in_the_dead_letters_of_its_queue(moto_url: str, tmp_path: Path) -> None:
    computed = compute(tmp_path, name=next(_names), max_receive_count=20)
    sqs = client("sqs", moto_url)
    make(computed, sqs, client("s3", moto_url))
    name = computed["aws_sqs_queue.this"]["frame-submitted-live"]["name"]
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    dead = sqs.get_queue_url(QueueName=f"{name}-dead")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="poison")
    for _ in range(20):
        (message,) = sqs.receive_message(QueueUrl=url, VisibilityTimeout=0, WaitTimeSeconds=0)["Messages"]
        assert message["Body"] == "poison"
    assert "Messages" not in sqs.receive_message(QueueUrl=url, VisibilityTimeout=0, WaitTimeSeconds=0)
    (message,) = sqs.receive_message(QueueUrl=dead, WaitTimeSeconds=0)["Messages"]
    assert message["Body"] == "poison"
    assert sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"] == [url]


def test_terraform_applies(moto_url: str, tmp_path: Path) -> None:
    name = next(_names)
    for file in DIRECTORY.glob("*.tf"):
        (tmp_path / file.name).write_text(file.read_text("utf-8"), "utf-8")
    (tmp_path / "moto_override.tf").write_text(OVERRIDE.format(url=moto_url), "utf-8")
    (tmp_path / "terraform.tfvars.json").write_text(json.dumps(VARIABLES | {"name": name}), "utf-8")
    started = terraform("init", "-input=false", "-no-color", cwd=tmp_path)
    if started.returncode != 0:
        pytest.skip(f"terraform init: {' '.join(started.stderr.split())[:300]}")
    validated = terraform("validate", "-no-color", cwd=tmp_path)
    assert validated.returncode == 0, validated.stderr
    targets = [f"-target={target}" for target in TARGETS]
    applied = terraform("apply", "-auto-approve", "-input=false", "-no-color", *targets, cwd=tmp_path)
    assert applied.returncode == 0, applied.stderr
    again = terraform("plan", "-detailed-exitcode", "-input=false", "-no-color", *targets, cwd=tmp_path)
    assert again.returncode == 0, again.stdout
    sqs, s3 = client("sqs", moto_url), client("s3", moto_url)
    upload_and_look(sqs, s3, f"{name}-{ACCOUNT}-{REGION}", f"{name}-{EVENTS}")
