"""Legal holds: while one covers an image, nothing of it is erased."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from framegate.kernel.audit import moment
from framegate.kernel.canonical import canonical_json
from framegate.kernel.ids import CameraId, FacilityId, ImageId
from framegate.kernel.inspection import ImageFacts


@dataclass(frozen=True, slots=True)
class HoldScope:
    """Which images: those that meet every condition that is given. Images that come later are covered alike."""

    image_id: ImageId | None = None
    metadata: Mapping[str, str] = field(default_factory=dict, hash=False)
    camera: CameraId | None = None
    received_from: datetime | None = None
    received_until: datetime | None = None  #: not itself

    def __post_init__(self) -> None:
        """Refuses one over everything, and one over nothing."""
        if self.image_id is None and not self.metadata and self.camera is None:
            raise ValueError("a hold is on an image, on a metadata value or on a camera")
        if self.received_from and self.received_until and self.received_from >= self.received_until:
            raise ValueError("a hold's time begins before it ends")

    def covers(self, facts: ImageFacts) -> bool:
        """Of images of its facility."""
        return (
            self.image_id in (None, facts.image_id)
            and self.metadata.items() <= facts.metadata.items()
            and self.camera in (None, facts.camera)
            and (self.received_from is None or self.received_from <= facts.received_at)
            and (self.received_until is None or self.received_until > facts.received_at)
        )

    def to_json(self) -> dict[str, Any]:
        """Only what is given."""
        given = {
            "image": self.image_id and str(self.image_id),
            "metadata": dict(self.metadata),
            "camera": self.camera,
            "from": self.received_from and moment(self.received_from),
            "until": self.received_until and moment(self.received_until),
        }
        return {name: value for name, value in given.items() if value}

    def audited(self) -> dict[str, Any]:
        """The metadata's values may be personal and are not in the audit; the digest shows if they were changed."""
        shown = self.to_json()
        names = {"metadata": sorted(self.metadata)} if self.metadata else {}
        return shown | names | {"scope_sha256": sha256(canonical_json(shown)).hexdigest()}


@dataclass(frozen=True, slots=True)
class Hold:
    """In force until somebody lifts it."""

    hold_id: UUID
    facility: FacilityId
    scope: HoldScope
    reason: str
    placed_at: datetime
    placed_by: str
    lifted_at: datetime | None = None
    lifted_by: str | None = None
    lift_reason: str | None = None
