"""A bucket of moto's server, in this process."""

from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Any

from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends

from framegate.adapters.aws.client import make_client
from tests.support.aws import REGION

_numbers = count(1)


@dataclass(frozen=True)
class MotoBucket:
    """`lead_to` its server must hold."""

    name: str

    @classmethod
    def make(cls) -> "MotoBucket":
        bucket = cls(f"framegate-test-{next(_numbers)}")
        client = bucket.client()
        client.create_bucket(Bucket=bucket.name, CreateBucketConfiguration={"LocationConstraint": REGION})
        client.close()
        return bucket

    def client(self) -> Any:
        return make_client("s3", REGION)

    def backdate(self, path: str, seconds: float) -> None:
        key = s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets[self.name].keys[path]
        key.last_modified -= timedelta(seconds=seconds)
