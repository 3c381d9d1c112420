"""Clients of AWS, and its errors in one line that names the resource, the permission and the setting."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    InvalidRegionError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
)

from framegate.kernel.errors import ConfigurationError, DependencyUnavailable

#: Error codes by what is wrong. Source: the "Errors" sections of the SQS and S3 API references, "Common Errors".
_DENIED: Final = frozenset(
    {"AccessDenied", "AccessDeniedException", "403", "AllAccessDisabled", "KMS.AccessDeniedException"}
)
_UNKNOWN_CALLER: Final = frozenset(
    {
        "InvalidClientTokenId",
        "InvalidAccessKeyId",
        "UnrecognizedClientException",
        "ExpiredToken",
        "ExpiredTokenException",
    }
)
_SKEWED: Final = frozenset(
    {
        "RequestTimeTooSkewed",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "InvalidSignatureException",
        "IncompleteSignature",
        "IncompleteSignatureException",
    }
)
_MISSING: Final = frozenset(
    {"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist", "NoSuchBucket", "404", "NotFound"}
)
_ELSEWHERE: Final = frozenset(
    {"PermanentRedirect", "301", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
)


@dataclass(frozen=True, slots=True)
class Resource:
    """What a call is about: `SQS queue framegate-frame-submitted-live`, and the setting that leads there."""

    name: str
    setting: str


def make_client(
    service: str, region: str | None, *, read_s: float = 5, connections: int = 10, attempts: int = 3
) -> Any:
    """Endpoint and credentials are found as boto3 finds them (AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, a role, ...).

    Safe for use from several threads. Throttling and 5xx are tried again with jitter, `attempts` calls in all; `read_s`:
    the longest silence on a connection, seconds. Raises `DependencyUnavailable` or `ConfigurationError`.
    """
    config = Config(
        connect_timeout=2,
        read_timeout=read_s,
        retries={"mode": "standard", "total_max_attempts": attempts},
        max_pool_connections=connections,
        tcp_keepalive=True,
        user_agent_appid="framegate",
        # Any S3-compatible server: checksums only where an operation demands them or we give them.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    try:
        with asking(Resource(f"AWS {service}", "AWS_REGION"), f"{service}:*"):
            session = boto3.session.Session(region_name=region or None)
            return _s3_client(session, config) if service == "s3" else session.client(service, config=config)
    except ValueError as error:  # what botocore says to an endpoint that is no URL
        raise ConfigurationError(
            f"AWS {service}: {_line(error)}: set AWS_ENDPOINT_URL to a URL, or to nothing"
        ) from error


def _s3_client(session: boto3.session.Session, config: Config) -> Any:
    # Left to itself, botocore signs links for the global endpoint, which redirects, and in some regions as of old (v2).
    client = session.client("s3", config=config.merge(_s3_config("virtual")))
    if is_aws(client):
        return client
    # Only IP addresses make botocore choose paths: http://bucket.minio:9000 would have to resolve.
    client.close()
    return session.client("s3", config=config.merge(_s3_config("path")))


def _s3_config(addressing: str) -> Config:
    return Config(signature_version="s3v4", s3={"addressing_style": addressing})


def is_aws(client: Any) -> bool:
    """Whether the client talks to AWS itself, in any partition, and not to a server that speaks its protocol."""
    return ".amazonaws." in f"{urlsplit(client.meta.endpoint_url).hostname}"


@contextmanager
def asking(resource: Resource, permission: str) -> Iterator[None]:
    """Turns errors of boto3 into `DependencyUnavailable`: even a lack of permission can be mended while we run."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise DependencyUnavailable(explain(error, resource, permission)) from error


@contextmanager
def at_start() -> Iterator[None]:
    """What a process cannot start without: its absence ends it, with the same words."""
    try:
        yield
    except DependencyUnavailable as error:
        raise ConfigurationError(str(error)) from error


def code_of(error: Exception) -> str:
    """The error code of an answer, empty when there was no answer."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def explain(error: Exception, resource: Resource, permission: str) -> str:
    """One line for the person who has to mend it."""
    wrong, remedy = _diagnosis(error, resource, permission)
    return f"{resource.name}: {wrong}: {remedy}"


def _diagnosis(error: Exception, resource: Resource, permission: str) -> tuple[str, str]:
    match error:
        case ClientError():
            return _refusal(error, resource, permission)
        case NoCredentialsError() | PartialCredentialsError():
            return "no AWS credentials", (
                f"set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run with a role that may {permission}"
            )
        case ProfileNotFound():
            return "no AWS credentials", f"check AWS_PROFILE: {_line(error)}"
        case NoRegionError():
            return "no AWS region", "set AWS_REGION, for example eu-central-1"
        case InvalidRegionError():
            return "no AWS region", f"set AWS_REGION, for example to eu-central-1: {_line(error)}"
        case EndpointConnectionError() | ConnectTimeoutError():
            where = error.kwargs.get("endpoint_url", "the endpoint")
            return f"cannot connect to {where}", "check AWS_REGION, AWS_ENDPOINT_URL and the network"
        case HTTPClientError():
            return f"no answer ({_line(error)})", "check AWS_ENDPOINT_URL, the network and the state of the service"
        case ParamValidationError():
            return "is not a valid name", f"check {resource.setting}"
    return "cannot be asked", f"{_line(error)} (needs {permission})"


def _refusal(error: ClientError, resource: Resource, permission: str) -> tuple[str, str]:
    code = code_of(error)
    if code in _DENIED:
        return (
            "access denied",
            f"allow {permission} to this process's role (and its KMS key), and check {resource.setting}",
        )
    if code in _UNKNOWN_CALLER:
        return f"AWS does not accept the credentials ({code})", (
            f"renew them (AWS_ACCESS_KEY_ID, or the role) and check AWS_REGION; they need {permission}"
        )
    if code in _SKEWED:
        return (
            f"AWS does not accept the signature ({code})",
            "set this host's clock (NTP), then check AWS_SECRET_ACCESS_KEY and AWS_REGION",
        )
    if code in _MISSING:
        ours = "; Terraform or 'framegate provision' creates it" if resource.setting.startswith("FRAMEGATE_") else ""
        return "does not exist in this region", f"check AWS_REGION and {resource.setting}{ours} ({permission})"
    if code in _ELSEWHERE:
        return elsewhere(home_region(error.response), resource)
    return "AWS answered with an error", f"{_line(error)} (needs {permission})"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def home_region(answer: dict[str, Any]) -> str:
    """The region that S3 names beside an answer or an error about a bucket; empty when it names none."""
    return str(answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("x-amz-bucket-region", ""))


def elsewhere(region: str, resource: Resource) -> tuple[str, str]:
    """What is wrong and the remedy for a resource in another region."""
    return f"is in {region or 'another region'}", f"set AWS_REGION to its region, or check {resource.setting}"
