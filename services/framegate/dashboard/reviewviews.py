"""What the pages of the review desk show.

Some items are blind checks of automatic passes. So nothing here tells the verdict, its reason, where an item came from or
whether its frame's quality was doubted, of none of them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from framegate.dashboard.demands import demands_of
from framegate.dashboard.deps import PageDependencies
from framegate.kernel.errors import ModelRefused
from framegate.kernel.ids import CameraId, FacilityId, ImageId
from framegate.kernel.inspection import Label, Look
from framegate.kernel.manifest import ModelManifest
from framegate.kernel.reviews import Choice, Review, Tally
from framegate.ports.reviews import ReviewItem, ReviewStats
from framegate.ports.store import ImageRecord

#: How many of what waits are listed for whoever has no scripts.
LISTED: Final = 20
_LATEST: Final = 20


@dataclass(frozen=True, slots=True)
class Said:
    """A review, and whether it was taken back."""

    review: Review
    undone: bool


@dataclass(frozen=True, slots=True)
class DeskView:
    """Around the desk. `now` tells scripts what the server's clock says."""

    now: datetime
    stats: ReviewStats
    waiting: Sequence[ReviewItem]
    latest: Sequence[Said]


@dataclass(frozen=True, slots=True)
class QualityView:
    """`groups`: (heading, what one is called, its tallies)."""

    stats: ReviewStats
    all: Tally | None
    groups: Sequence[tuple[str, str, Sequence[Tally]]]


@dataclass(frozen=True, slots=True)
class ItemView:
    """One image. `more` is what its sender said beside the shipment."""

    item: ReviewItem
    taken_at: datetime
    shipment: str | None
    more: Mapping[str, str]
    measures: Sequence[tuple[str, str]]
    model: str | None
    labels: Sequence[Label]
    looks: Sequence[Look]
    classes: Sequence[str]
    said: Sequence[Said]

    @property
    def data(self) -> str:
        """JSON for the script that draws it."""
        looks = [
            {"region": look.region, "seen": [{"class": n, "confidence": c, "box": box} for n, c, box in look.seen]}
            for look in self.looks
        ]
        return json.dumps({"classes": self.classes, "looks": looks})

    @property
    def spoken(self) -> str:
        """For who hears that it has come."""
        found = ", ".join(f"{name} {confidence:.0%}" for name, confidence, _ in self.item.detections[:5])
        of = f" of shipment {self.shipment}" if self.shipment else ""
        return f"{self.item.camera}{of}. Found: {found or 'nothing'}."


def desk_view(deps: PageDependencies, facilities: frozenset[FacilityId]) -> DeskView:
    """Asks for figures, the riskiest items and the newest decisions."""
    return DeskView(
        deps.clock.now(),
        deps.reviews.stats(facilities),
        deps.reviews.items(facilities, LISTED),
        _said(deps.reviews.latest(facilities, _LATEST)),
    )


def quality_view(deps: PageDependencies, facilities: frozenset[FacilityId]) -> QualityView:
    """What the blind sample says."""
    stats = deps.reviews.stats(facilities)
    of = {
        kind: [tally for tally in stats.tallies if tally.kind == kind] for kind in ("all", "camera", "class", "model")
    }
    groups = (("By camera", "Camera", "camera"), ("By damage", "Damage", "class"), ("By model", "Model", "model"))
    return QualityView(
        stats,
        of["all"][0] if of["all"] else None,
        [(heading, one, of[kind]) for heading, one, kind in groups if of[kind]],
    )


def item_view(deps: PageDependencies, facilities: frozenset[FacilityId], image_id: ImageId) -> ItemView | None:
    """None: no item of these facilities."""
    item = deps.reviews.item(facilities, image_id)
    record = None if item is None else deps.results.image(frozenset({item.facility}), image_id)
    if item is None or record is None:
        return None
    more = {name: value for name, value in record.metadata.items() if name != "shipment"}
    return ItemView(
        item,
        record.captured_at or record.facts.received_at,
        record.metadata.get("shipment"),
        more,
        _measures(record.quality),
        record.model,
        record.labels,
        record.looks,
        _classes(deps, item.facility, item.camera, record),
        _said(record.reviews),
    )


def _said(reviews: Sequence[Review]) -> list[Said]:
    undone = {review.undoes for review in reviews}
    return [Said(review, review.review_id in undone) for review in reviews if review.decision.choice is not Choice.UNDO]


def _measures(quality: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """The numbers only: what is doubtful about them would tell a doubt from a blind check."""
    if quality is None:
        return []
    return [
        ("Sharpness", f"{quality['sharpness']:.0f}"),
        ("Brightness", f"{quality['exposure']:.0f} of 255"),
        ("Contrast", f"{quality['contrast']:.0f}"),
    ]


def _classes(deps: PageDependencies, facility: FacilityId, camera: CameraId, record: ImageRecord) -> list[str]:
    """What its damage can be called: what its policy gives thresholds, else what its model's maker does. In one order
    always, so that fingers learn it.
    """
    policy = (
        deps.policies.current_policy(facility)
        if record.policy_version is None
        else deps.policies.policy(facility, record.policy_version)
    )
    classes = {} if policy is None else demands_of(policy.document, camera).classes
    if named := sorted(name for name, limits in classes.items() if limits.matter):
        return named
    model = None if record.model is None else deps.registry.model(record.model)
    if model is None:
        return []
    try:
        return sorted(ModelManifest.parse(model.manifest, model.ref).thresholds)
    except ModelRefused:  # of a later release
        return []
