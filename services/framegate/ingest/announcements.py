"""The body of `POST /v1/uploads`: what somebody is going to upload."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, StrictInt, ValidationError

from framegate.ingest.parameters import METADATA, Name, UploadParameters, parse_parameters
from framegate.ingest.sink import too_large
from framegate.kernel.ids import FacilityId
from framegate.kernel.imagefile import MediaType
from framegate.kernel.states import Lane
from framegate.web.handlers import from_validation, unknown_parameters
from framegate.web.identity import Principal
from framegate.web.problems import Problem, invalid

#: A hundred uploads with all the metadata that one may have need 1.7 MB.
MOST_BYTES: Final = 2 * 2**20
_MOST_UPLOADS: Final = 100


class UploadEntry(BaseModel):
    """An image that will be uploaded. The parameters are those of `POST /v1/images`."""

    model_config = ConfigDict(extra="forbid")

    camera: Name = Field(description="The camera that took the image.", examples=["dock-3"])
    media_type: str = Field(
        description="What the file is.", examples=["image/jpeg"], json_schema_extra={"enum": list(MediaType)}
    )
    size_bytes: StrictInt = Field(ge=1, description="How large exactly the file is.", examples=[412_345])
    sha256: str = Field(
        pattern="^[0-9a-fA-F]{64}$", description="SHA-256 of the file in hexadecimal.", examples=["ab" * 32]
    )
    captured_at: str | None = Field(
        None, description="When the image was taken, RFC 3339.", json_schema_extra={"format": "date-time"}
    )
    lane: Lane = Field(Lane.LIVE, description="`bulk` (backfill, replay) never delays `live`.")
    facility: Name | None = Field(None, description="Needed only with a key of several facilities.")
    metadata: dict[str, str] = Field(
        default_factory=dict,
        description=f"Any of {', '.join(METADATA)}, and `meta.<name>` for whatever else.",
        examples=[{"shipment": "SHP-20391"}],
    )


def documented_body() -> dict[str, Any]:
    """The JSON Schema of a body: one upload, or a list of them, of which all are announced or none."""
    entry = UploadEntry.model_json_schema(ref_template="#/components/schemas/{model}")
    entry.pop("$defs", None)  # the document's own components have them
    uploads = {"type": "array", "items": entry, "minItems": 1, "maxItems": _MOST_UPLOADS}
    batch = {
        "type": "object",
        "properties": {"uploads": uploads},
        "required": ["uploads"],
        "additionalProperties": False,
        "title": "UploadBatch",
    }
    return {"oneOf": [entry, batch]}


@dataclass(frozen=True, slots=True)
class Announcement:
    """Checked."""

    facility: FacilityId
    parameters: UploadParameters
    media_type: MediaType
    size_bytes: int
    sha256: str


def parse_announcements(body: bytes, principal: Principal, now: datetime, max_bytes: int) -> list[Announcement]:
    """Raises `Problem`; in a batch it names the entry, from 0."""

    def check(entry: Any) -> Announcement:
        return _announcement(entry, principal, now, max_bytes)

    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise Problem("malformed-request", "The body is no JSON document.") from None
    if not isinstance(document, dict) or "uploads" not in document:
        return [check(document)]
    if unknown := [name for name in document if name != "uploads"]:
        raise unknown_parameters(unknown)
    entries = document["uploads"]
    if not isinstance(entries, list) or not 1 <= len(entries) <= _MOST_UPLOADS:
        raise invalid("uploads", f"is a list of 1 to {_MOST_UPLOADS} uploads")
    return [_at(f"uploads[{n}]", check, entry) for n, entry in enumerate(entries)]


def _announcement(entry: Any, principal: Principal, now: datetime, max_bytes: int) -> Announcement:
    try:
        checked = UploadEntry.model_validate(entry)
    except ValidationError as error:
        raise from_validation(error.errors(include_input=False, include_url=False, include_context=False)) from None
    if checked.media_type not in tuple(MediaType):
        raise Problem("unsupported-media-type", "media_type: send image/jpeg or image/png.")
    if checked.size_bytes > max_bytes:
        raise too_large(max_bytes)
    if strange := [name for name in checked.metadata if name not in METADATA and not name.startswith("meta.")]:
        raise unknown_parameters(strange)
    parameters = parse_parameters(_pairs(checked), now)
    facility = principal.facility(parameters.facility)
    return Announcement(facility, parameters, MediaType(checked.media_type), checked.size_bytes, checked.sha256.lower())


def _pairs(entry: UploadEntry) -> list[tuple[str, str]]:
    """As the same upload has them in a query."""
    given = {"camera": entry.camera, "captured_at": entry.captured_at, "lane": entry.lane, "facility": entry.facility}
    return [(name, value) for name, value in given.items() if value is not None] + list(entry.metadata.items())


def _at(place: str, check: Callable[[Any], Announcement], entry: Any) -> Announcement:
    try:
        return check(entry)
    except Problem as problem:
        errors = tuple({**error, "name": f"{place}.{error['name']}"} for error in problem.errors)
        detail = f"{place}: {problem.detail}"
        raise Problem(problem.slug, detail, headers=problem.headers, errors=errors) from None
