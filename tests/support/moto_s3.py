"""A bucket of moto's server, in this process."""

import os
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends

from framegate.adapters.aws.client import make_client

REGION = "eu-central-1"
_numbers = count(1)


def lead_to(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every client of AWS that this process makes from now on asks the server at `url`, and nothing of the user's."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_SQS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "AKIATEST",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)


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
