"""The parameters of an upload: one model that checks them and documents them."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from framegate.kernel.ids import NAME_PATTERN, CameraId, is_name
from framegate.kernel.states import Lane
from framegate.web.handlers import from_validation
from framegate.web.problems import invalid

Name = Annotated[str, Field(pattern=NAME_PATTERN)]

_META = "meta."
_MOST_META: Final = 32
_MOST_META_CHARACTERS: Final = 256
_MOST_META_BYTES: Final = 16 * 1024
_FUTURE: Final = timedelta(hours=24)
#: Controls, formats (which turn text around), surrogates, private and unassigned characters, line separators.
_UNSAFE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# A space before the offset is a `+` that was not escaped in a query string.
_RFC3339: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(\.\d{1,9})?(?:([Zz])|([+\- ])(\d\d:\d\d))", re.ASCII
)


class UploadQuery(BaseModel):
    """As query parameters or form fields."""

    model_config = ConfigDict(extra="forbid")

    camera: Name = Field(
        description="The camera that took the image. One that is not known yet registers itself as unconfirmed.",
        examples=["dock-3"],
    )
    captured_at: str | None = Field(
        None,
        description="When the image was taken, as RFC 3339 with an offset; at most 24 hours ahead. "
        "Write `+` as `%2B` in a query. With it, sending the same bytes again is recognised without an Idempotency-Key.",
        examples=["2026-11-23T10:15:00Z"],
        json_schema_extra={"format": "date-time"},
    )
    lane: Lane = Field(Lane.LIVE, description="`bulk` (backfill, replay) never delays `live`.")
    facility: Name | None = Field(None, description="Needed only with a key of several facilities.", examples=["main"])
    shipment: Name | None = Field(None, description="The shipment in the picture.", examples=["SHP-20391"])
    sscc: Name | None = Field(None, description="The logistic unit (GS1 SSCC).", examples=["003400000000000018"])
    dock: Name | None = Field(None, description="The dock.", examples=["D7"])
    pallet: Name | None = Field(None, description="The pallet.", examples=["P-118"])
    sku: Name | None = Field(None, description="The article.", examples=["4006381333931"])
    order: Name | None = Field(None, description="The order.", examples=["SO-55102"])
    lot: Name | None = Field(None, description="The production lot.", examples=["L2026-47"])


METADATA: Final = ("shipment", "sscc", "dock", "pallet", "sku", "order", "lot")


@dataclass(frozen=True, slots=True)
class UploadParameters:
    """Checked."""

    camera: CameraId
    captured_at: datetime | None
    lane: Lane
    facility: str | None
    metadata: Mapping[str, str]


def parse_parameters(pairs: Sequence[tuple[str, str]], now: datetime) -> UploadParameters:
    """Raises `Problem`; every parameter may be given once."""
    given: dict[str, str] = {}
    for name, value in pairs:
        if name in given:
            raise invalid(name if is_name(name) else "parameters", "is given twice")
        given[name] = value
    meta = {name: given.pop(name) for name in list(given) if name.startswith(_META)}
    try:
        query = UploadQuery.model_validate(given)
    except ValidationError as error:
        raise from_validation(error.errors(include_input=False, include_url=False, include_context=False)) from None
    metadata = {name: value for name in METADATA if (value := getattr(query, name)) is not None}
    return UploadParameters(
        CameraId(query.camera),
        None if query.captured_at is None else parse_moment("captured_at", query.captured_at, now),
        query.lane,
        query.facility,
        metadata | parse_meta(meta),
    )


def parse_moment(name: str, text: str, now: datetime) -> datetime:
    """RFC 3339 to UTC. Raises `Problem`, also for what lies more than a day ahead."""
    found = _RFC3339.fullmatch(text)
    try:
        if found is None:
            raise ValueError
        day, time, fraction, zulu, sign, offset = found.groups()
        shift = "+00:00" if zulu else f"{'-' if sign == '-' else '+'}{offset}"
        moment = datetime.fromisoformat(f"{day}T{time}{(fraction or '')[:7]}{shift}").astimezone(UTC)
    except (ValueError, OverflowError):
        raise invalid(name, "is not an RFC 3339 moment such as 2026-11-23T10:15:00Z") from None
    if moment - now > _FUTURE:
        raise invalid(name, "lies more than 24 hours ahead; check the sender's clock")
    return moment


def parse_meta(given: Mapping[str, str]) -> dict[str, str]:
    """Names keep their prefix, so that `meta.dock` and `dock` stay apart. Raises `Problem`."""
    size = sum(len(name) + len(value.encode(errors="replace")) for name, value in given.items())
    if len(given) > _MOST_META or size > _MOST_META_BYTES:
        raise invalid("meta", f"takes at most {_MOST_META} entries and {_MOST_META_BYTES} bytes")
    metadata = {}
    for full_name, value in given.items():
        name = full_name.removeprefix(_META)
        if not is_name(name):
            raise invalid("meta", "names hold 1 to 64 letters, digits and . _ : -")
        if not is_plain_text(value):
            raise invalid(full_name, f"holds 1 to {_MOST_META_CHARACTERS} printable characters")
        metadata[full_name] = value
    return metadata


def is_plain_text(text: str) -> bool:
    """Free text that can be shown and stored everywhere."""
    if not 1 <= len(text) <= _MOST_META_CHARACTERS or "\N{REPLACEMENT CHARACTER}" in text:
        return False  # what is no UTF-8 in a query arrives as replacement characters
    return not any(unicodedata.category(character) in _UNSAFE for character in text)


def documented_parameters() -> list[dict[str, Any]]:
    """The same model as OpenAPI parameters."""
    schema = UploadQuery.model_json_schema(ref_template="#/components/schemas/{model}")
    documented = []
    for name, entry in schema["properties"].items():
        described = {key: value for key, value in entry.items() if key not in ("title", "description", "examples")}
        parameter = {"name": name, "in": "query", "required": name in schema["required"], "schema": described}
        parameter["description"] = entry.get("description", "")
        if entry.get("examples"):
            parameter["example"] = entry["examples"][0]
        documented.append(parameter)
    return documented
