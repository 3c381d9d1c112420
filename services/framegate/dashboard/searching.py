"""What a search for inspections asks for: its parameters, the condition on images, and each condition as people read it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from framegate.dashboard.query import Name, PageQuery
from framegate.kernel.ids import CameraId, FacilityId
from framegate.kernel.states import ImageState, Lane, Verdict
from framegate.ports.store import ImageFilter

#: Nothing that controls, formats or is no character.
_PLAIN: Final = r"^\P{C}+$"
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)?", re.ASCII)


def moment(text: str) -> datetime:
    """RFC 3339, also without seconds; without an offset it is UTC. Raises `ValueError`."""
    if _MOMENT.fullmatch(text) is None:
        raise ValueError("write a moment such as 2026-11-23T10:15Z")
    at = datetime.fromisoformat(text)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _checked(text: str) -> str:
    try:
        moment(text)
    except OverflowError:
        raise ValueError("write a moment of the years 1 to 9999") from None
    return text


Moment = Annotated[str, Field(max_length=40), AfterValidator(_checked)]
Share = Annotated[float, Field(ge=0, le=1)]


class Conditions(PageQuery):
    """All that are given hold."""

    since: Moment | None = None
    until: Moment | None = None
    camera: Name | None = None
    effective: Verdict | None = None
    verdict: Verdict | None = None
    state: ImageState | None = None
    reason: str | None = Field(None, pattern="^[a-z0-9-]{1,64}$")
    reviewed: bool | None = None
    detected: str | None = Field(None, max_length=128, pattern=_PLAIN)
    min_confidence: Share | None = None
    max_confidence: Share | None = None
    model: str | None = Field(None, pattern="^[A-Za-z0-9._:-]{1,64}@[A-Za-z0-9._:-]{1,64}$")
    shipment: Name | None = None
    sscc: Name | None = None
    key: str | None = Field(None, pattern="^(meta[.])?[A-Za-z0-9._:-]{1,64}$")
    value: str | None = Field(None, max_length=256, pattern=_PLAIN)
    lane: Lane | None = None
    sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$")

    def where(self, facilities: frozenset[FacilityId]) -> ImageFilter:
        """As the store is asked."""
        metadata = {"shipment": self.shipment, "sscc": self.sscc}
        if self.key is not None:
            metadata[self.key] = self.value
        return ImageFilter(
            facilities=facilities,
            camera=None if self.camera is None else CameraId(self.camera),
            state=self.state,
            verdict=self.verdict,
            effective=self.effective,
            reason=self.reason,
            model=self.model,
            reviewed=self.reviewed,
            lane=self.lane,
            detected=self.detected,
            min_confidence=self.min_confidence,
            max_confidence=self.max_confidence,
            sha256=self.sha256,
            received_since=None if self.since is None else moment(self.since),
            received_until=None if self.until is None else moment(self.until),
            metadata={name: value for name, value in metadata.items() if value is not None},
        )

    @property
    def given(self) -> dict[str, str]:
        """Those that are, as parameters of an address; the facility too."""
        names = [name for name in Conditions.model_fields if getattr(self, name) is not None]
        return {name: _text(getattr(self, name)) for name in names}


class SearchQuery(Conditions):
    """A page of what fulfils them."""

    shown_as: Literal["table", "pictures"] = Field("table", alias="as")
    cursor: str | None = Field(None, max_length=256)


class ExportQuery(Conditions):
    """All that fulfils them, as a file."""

    form: Literal["csv", "json"] = Field("csv", alias="format")


@dataclass(frozen=True, slots=True)
class Chip:
    """A condition in words, and the parameters that are left out to be rid of it."""

    words: str
    value: str
    names: tuple[str, ...]
    is_moment: bool = False


_WORDS: Final = {
    "since": "received from", "until": "received before", "camera": "camera", "effective": "verdict",
    "verdict": "decided by the pipeline", "state": "state", "reason": "reason", "reviewed": "decided by people",
    "detected": "class", "min_confidence": "confidence from", "max_confidence": "confidence up to", "model": "model",
    "shipment": "shipment", "sscc": "SSCC", "lane": "lane", "sha256": "SHA-256",
}  # fmt: skip


def chips_of(query: Conditions) -> Sequence[Chip]:
    """Of everything but the facility, which is chosen elsewhere."""
    given = query.given
    found = [
        Chip(words, given[name], (name,), name in ("since", "until")) for name, words in _WORDS.items() if name in given
    ]
    if query.key is not None and query.value is not None:
        found.append(Chip(query.key, query.value, ("key", "value")))
    return found


def _text(value: object) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)
