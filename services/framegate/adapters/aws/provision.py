"""Makes the queues and the bucket that are missing: for local stacks and trials; Terraform does it in production."""

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
