"""Makes the queues, bucket and events that are missing: for local stacks and trials; Terraform does it in production."""

import json
from collections.abc import Sequence
from typing import Any, Final

from botocore.exceptions import ClientError

from framegate.adapters.aws.client import Resource, asking, code_of
from framegate.adapters.aws.dead_letters import SUFFIX

#: Seconds. A dead letter keeps the age of its message, so it must be kept for longer than that can live (SQS guide).
KEEP_S: Final = 4 * 24 * 3600
KEEP_DEAD_S: Final = 14 * 24 * 3600
#: Receives after which SQS takes a message for dead. High: those of a crashing worker are innocent (decisions/0003).
MAX_RECEIVES: Final = 50


def provision_queues(client: Any, prefix: str, queues: Sequence[str], max_receives: int = MAX_RECEIVES) -> list[str]:
    """Each with its dead letters; the names of those that were made. Existing ones are left as they are."""
    made: list[str] = []
    for queue in queues:
        dead = _provide(client, prefix + queue + SUFFIX, {"MessageRetentionPeriod": str(KEEP_DEAD_S)}, made)
        policy = {"deadLetterTargetArn": _arn(client, dead), "maxReceiveCount": str(max_receives)}
        attributes = {
            "MessageRetentionPeriod": str(KEEP_S),
            "VisibilityTimeout": "60",
            "RedrivePolicy": json.dumps(policy),
        }
        _provide(client, prefix + queue, attributes, made)
    return made


def _provide(client: Any, name: str, attributes: dict[str, str], made: list[str]) -> str:
    with asking(Resource(f"SQS queue {name}", "FRAMEGATE_QUEUE__PREFIX"), "sqs:CreateQueue"):
        try:
            return str(client.get_queue_url(QueueName=name)["QueueUrl"])
        except ClientError as error:
            if "NonExistentQueue" not in code_of(error) and "QueueDoesNotExist" not in code_of(error):
                raise
        made.append(name)
        return str(client.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"])


def _arn(client: Any, url: str) -> str:
    answer = client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return str(answer["Attributes"]["QueueArn"])


def provision_bucket(client: Any, bucket: str) -> list[str]:
    """Private; an existing one is left as it is."""
    with asking(Resource(f"S3 bucket {bucket}", "FRAMEGATE_BLOBS__BUCKET"), "s3:CreateBucket"):
        try:
            client.head_bucket(Bucket=bucket)
            return []
        except ClientError as error:
            if code_of(error) not in ("404", "NoSuchBucket", "NotFound"):
                raise
        region = client.meta.region_name
        where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        client.create_bucket(Bucket=bucket, **where)
        return [bucket]


def provision_events(sqs: Any, s3: Any, bucket: str, prefix: str, queue: str) -> list[str]:
    """Lets `bucket` tell `queue` what arrives below `prefix`; a bucket that tells anybody anything is left as it is."""
    resource = Resource(f"notifications of the S3 bucket {bucket}", "FRAMEGATE_EVENTS__QUEUE")
    with asking(resource, "s3:PutBucketNotification, sqs:SetQueueAttributes"):
        told = s3.get_bucket_notification_configuration(Bucket=bucket)
        if told.keys() - {"ResponseMetadata"}:
            return []
        url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        has = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn", "Policy"])["Attributes"]
        arn = has["QueueArn"]
        if "Policy" not in has:  # first: S3 tries the queue out when it is told of it
            sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(_events_policy(arn, bucket))})
        rule = {"Name": "prefix", "Value": prefix}
        to_queue = {"QueueArn": arn, "Events": ["s3:ObjectCreated:*"], "Filter": {"Key": {"FilterRules": [rule]}}}
        s3.put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration={"QueueConfigurations": [to_queue]}
        )
        return [f"events of {bucket}/{prefix} to {queue}"]


def _events_policy(queue_arn: str, bucket: str) -> dict[str, Any]:
    _, partition, _, _, account, _ = queue_arn.split(":")
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": {
            "ArnEquals": {"aws:SourceArn": f"arn:{partition}:s3:::{bucket}"},
            "StringEquals": {"aws:SourceAccount": account},
        },
    }
    return {"Version": "2012-10-17", "Statement": [statement]}
