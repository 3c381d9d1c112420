"""Errors of the HTTP API as RFC 9457 problems. One table: a slug that is not in it cannot be answered."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

from framegate.kernel.errors import FramegateError

MEDIA_TYPE: Final = "application/problem+json"
#: `type` is this and the slug; the server answers it with the meaning.
PROBLEMS_PATH: Final = "/problems/"


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """What is the same in every problem of one kind. `remedy` says what the caller can do."""

    status: int
    title: str
    remedy: str


KINDS: Final[Mapping[str, ProblemKind]] = {
    "malformed-request": ProblemKind(400, "The request cannot be read", "Send a well-formed HTTP request."),
    "empty-body": ProblemKind(400, "The body is empty", "Send the bytes of the image as the body."),
    "invalid-idempotency-key": ProblemKind(
        400, "The Idempotency-Key is not valid", "Send one Idempotency-Key of 1 to 255 printable ASCII characters."
    ),
    "invalid-cursor": ProblemKind(
        400, "The page cursor is not valid", "Start again without `cursor`; use a cursor only with the same filters."
    ),
    "unauthenticated": ProblemKind(
        401, "No valid API key", "Send `Authorization: Bearer <key>` with a key that is neither expired nor revoked."
    ),
    "insufficient-scope": ProblemKind(403, "The key may not do this", "Use a key that has the scope."),
    "csrf-token-invalid": ProblemKind(
        403,
        "The request does not come from a page of Framegate",
        "Send the page's form again; a program that uses a login sends its token as `X-CSRF-Token`.",
    ),
    "link-expired": ProblemKind(
        403,
        "The link has expired",
        "Ask for the incident with a key: GET /v1/incidents/{id} has a new link. Or open this without `expires` and "
        "`signature`, with a key.",
    ),
    "link-invalid": ProblemKind(
        403,
        "The link was not made here, or was changed",
        "Copy the whole link, or ask for the incident with a key: GET /v1/incidents/{id} has a new one.",
    ),
    "needs-every-facility": ProblemKind(
        403,
        "This is about all facilities",
        "Use a key or a login that may do this in every facility that there is, `main` included.",
    ),
    "belongs-elsewhere-too": ProblemKind(
        403,
        "This also concerns facilities that are not yours",
        "Ask somebody who is admin in all of them; a role in your own facility can be changed.",
    ),
    "facility-disabled": ProblemKind(403, "The facility is disabled", "Ask the operator to enable the facility."),
    "not-found": ProblemKind(404, "Not found", "Check the address; other facilities' things look absent too."),
    "method-not-allowed": ProblemKind(405, "The method is not allowed here", "Use a method that `Allow` names."),
    "not-acceptable": ProblemKind(406, "None of the accepted types is available", "Send a wider `Accept`, or none."),
    "upload-too-slow": ProblemKind(408, "The upload is too slow", "Send the image again over a faster connection."),
    "idempotency-in-progress": ProblemKind(
        409, "The first request with this key is still running", "Wait for `Retry-After` and send the same again."
    ),
    "preview-unavailable": ProblemKind(
        409,
        "There is no preview",
        "Previews are made of decided images; ask without `preview` and `boxes`, or later.",
    ),
    "hook-disabled": ProblemKind(
        409, "The endpoint is disabled", "Enable it first: POST /v1/hooks/{id}/enable, when its receiver works again."
    ),
    "hook-without-secret": ProblemKind(
        409,
        "Only webhooks have a signing secret",
        "To change the address of a Slack or SNS endpoint, add another one and delete this one.",
    ),
    "review-conflict": ProblemKind(409, "Somebody else was first", "Ask for the next item: POST /v1/reviews/next."),
    "review-not-shown": ProblemKind(
        409,
        "The picture on the screen was not this image's",
        "Load the original, show it, and send the SHA-256 of what was shown with the decision.",
    ),
    "review-final": ProblemKind(
        409, "The decision cannot be taken back", "Only its own reviewer can, and not for long; see `undo_until`."
    ),
    "key-ended": ProblemKind(409, "The key holds no more", "Make a new one: POST /v1/keys."),
    "last-admin-role": ProblemKind(
        409,
        "Nobody may lock themselves out",
        "Ask another admin to do it: this is the last role that lets you in here.",
    ),
    "name-taken": ProblemKind(
        409, "There is somebody of this name", "Choose another name, or give the person that there is a role."
    ),
    "person-disabled": ProblemKind(409, "The person is disabled", "Enable them first: POST /v1/people/{name}/enable."),
    "model-refused": ProblemKind(
        409, "The model cannot be taken for this", "Do what `detail` says; GET /v1/models has the state of each model."
    ),
    "policy-conflict": ProblemKind(
        409,
        "Somebody else applied a policy meanwhile",
        "Look at what holds now: GET /v1/policy. Send yours again with its version as `expected` if it still fits.",
    ),
    "policy-for-people-only": ProblemKind(
        409,
        "Everything would go to people",
        "Change the policy, or send it again with `force`: true if that is meant.",
    ),
    "too-many-hooks": ProblemKind(
        409, "The facility has as many endpoints as it may have", "Delete one that is no longer needed."
    ),
    "upload-missing": ProblemKind(
        409,
        "The upload has not reached the bucket",
        "Send the form to its `url` first; announce the upload again if it expired.",
    ),
    "content-gone": ProblemKind(410, "The original is no longer kept", "Nothing; its retention time is over."),
    "content-changed": ProblemKind(
        410,
        "The original is not the one that came in",
        "Tell the operator: the stored file was damaged or changed. The evidence of the image has it as it is now.",
    ),
    "payload-too-large": ProblemKind(413, "The body is too large", "Send a smaller image."),
    "unsupported-media-type": ProblemKind(415, "The media type is not supported", "Send image/jpeg or image/png."),
    "unsupported-encoding": ProblemKind(415, "The content encoding is not supported", "Send the image uncompressed."),
    "media-type-mismatch": ProblemKind(
        415, "The content type does not match the bytes", "Declare what the file really is."
    ),
    "unrecognized-image": ProblemKind(415, "The bytes are no known image format", "Send a JPEG or a PNG."),
    "malformed-image": ProblemKind(422, "The image file is damaged", "Export the image again."),
    "truncated-image": ProblemKind(422, "The image file is incomplete", "Send the whole file again."),
    "trailing-data": ProblemKind(422, "Foreign data is attached to the image", "Send only the image."),
    "unsupported-color-model": ProblemKind(422, "The colour model is not supported", "Convert it to RGB or grayscale."),
    "unsupported-coding": ProblemKind(
        422, "The coding is not supported", "Send a baseline or progressive 8-bit JPEG, or a PNG."
    ),
    "too-complex": ProblemKind(422, "The image is too complex to decode safely", "Export it again, non-progressive."),
    "animated-image": ProblemKind(422, "The image is an animation", "Send each frame as its own image."),
    "too-many-pixels": ProblemKind(422, "The image has too many pixels", "Scale it down or crop it."),
    "bad-dimensions": ProblemKind(422, "The dimensions are not usable", "Send an image with sides within the limits."),
    "too-much-metadata": ProblemKind(422, "The file carries too much metadata", "Send it without previews and texts."),
    "digest-mismatch": ProblemKind(
        422, "The bytes do not match the digest", "Send the file again; it was changed on the way."
    ),
    "idempotency-key-reused": ProblemKind(
        422, "The Idempotency-Key was used for another request", "Use a new key for a new request."
    ),
    "invalid-webhook-url": ProblemKind(
        422,
        "The target of the endpoint cannot be used",
        "Send an https:// URL with a host that resolves and nothing unusual in it; for SNS the ARN of a topic.",
    ),
    "blocked-address": ProblemKind(
        422,
        "The target leads where hooks may not go",
        "Use a public address; only the operator can open one on the premises, with FRAMEGATE_HOOKS__ALLOW.",
    ),
    "invalid-parameter": ProblemKind(422, "A parameter is not valid", "Correct the parameters that `errors` names."),
    "search-too-broad": ProblemKind(
        422,
        "The search reads too much",
        "Narrow the time with `received_since` and `received_until`, or name a camera, a class or a shipment.",
    ),
    "unknown-parameter": ProblemKind(422, "A parameter is unknown", "Remove it, or name it `meta.<name>` on uploads."),
    "policy-refused": ProblemKind(
        422, "The policy cannot be applied", "Correct the entries that `errors` names: POST /v1/policy/check has lines."
    ),
    "review-box-outside": ProblemKind(
        422, "A box lies outside the picture", "Send boxes in pixels of the upright original, x1 < x2 and y1 < y2."
    ),
    "rate-limited": ProblemKind(429, "Too many requests", "Wait for `Retry-After` and send the same again."),
    "headers-too-large": ProblemKind(431, "The request header is too large", "Send fewer and shorter header fields."),
    "internal-error": ProblemKind(
        500, "Framegate failed", "Send the same again; tell the operator `instance` if it persists."
    ),
    "hook-kind-unavailable": ProblemKind(
        501,
        "This kind of endpoint is not installed",
        "Use a webhook, or ask the operator to install boto3 for SNS: pip install 'framegate[aws]'.",
    ),
    "uploads-unavailable": ProblemKind(
        501,
        "There is no bucket to upload to",
        "Send images to POST /v1/images, or ask the operator to set FRAMEGATE_BLOBS__KIND=s3 and FRAMEGATE_BLOBS__BUCKET.",
    ),
    "overloaded": ProblemKind(503, "Too much is waiting", "Wait for `Retry-After` and send the same again."),
    "dependency-unavailable": ProblemKind(
        503, "A part of Framegate does not answer", "Wait for `Retry-After` and send the same again."
    ),
    "storage-unavailable": ProblemKind(
        503, "Nothing can be stored at the moment", "Wait for `Retry-After`; the operator must free space."
    ),
}


class Problem(FramegateError):
    """The answer to a request that cannot be served."""

    def __init__(
        self,
        slug: str,
        detail: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        errors: tuple[Mapping[str, str], ...] = (),
    ) -> None:
        """`detail` is for people and never repeats what was sent; `errors` are {name, detail} of single parameters."""
        self.slug, self.kind = slug, KINDS[slug]
        self.detail = detail or self.kind.remedy
        self.headers, self.errors = dict(headers or {}), errors
        super().__init__(f"{slug}: {self.detail}")


def invalid(name: str, detail: str) -> Problem:
    """One parameter has an impossible value."""
    return Problem("invalid-parameter", f"{name}: {detail}", errors=({"name": name, "detail": detail},))


def unauthenticated(detail: str) -> Problem:
    """Nobody knows who this is."""
    return Problem("unauthenticated", detail, headers={"WWW-Authenticate": 'Bearer realm="framegate"'})


def problem_body(problem: Problem, request_id: str | None) -> bytes:
    """The JSON document."""
    document: dict[str, Any] = {
        "type": PROBLEMS_PATH + problem.slug,
        "title": problem.kind.title,
        "status": problem.kind.status,
        "detail": problem.detail,
    }
    if request_id:
        document["instance"] = f"urn:uuid:{request_id}"
    if problem.errors:
        document["errors"] = list(problem.errors)
    return json.dumps(document).encode()


def problem_response(problem: Problem, request_id: str | None) -> Response:
    """As it goes to the client."""
    body = problem_body(problem, request_id)
    return Response(body, problem.kind.status, headers=problem.headers, media_type=MEDIA_TYPE)
