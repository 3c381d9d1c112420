"""What the API answers about reviews. As in `schemas`: models describe, functions build."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from pydantic import Field

from framegate.ingest.imageviews import DetectionView, boxes_document
from framegate.ingest.schemas import EXAMPLE_ID, View
from framegate.kernel.reviews import CONFIDENCE, LEAST_JUDGED, Tally
from framegate.ports.notices import moment
from framegate.ports.reviews import ReviewItem, ReviewStats

TOO_FEW: Final = f"too few: at least {LEAST_JUDGED} must be judged before a rate is worth saying"


class ReviewItemView(View):
    """An image that waits for a decision. Why it waits is not told: one in so many is a blind check."""

    id: UUID = Field(examples=[EXAMPLE_ID], description="Of the image.")
    facility: str
    camera: str
    content: str = Field(description="Where the original is.", examples=[f"/v1/images/{EXAMPLE_ID}/content"])
    sha256: str = Field(description="Of the original: the digest to send is that of the picture that was shown.")
    width: int = Field(description="Of the upright picture.")
    height: int
    version: int = Field(description="To be sent with the decision.")
    opened_at: datetime
    leased_until: datetime | None = Field(description="Until when nobody else gets it.")
    detections: list[DetectionView]


class ReviewItemList(View):
    """In the order in which to decide them."""

    items: list[ReviewItemView]


class ReleaseView(View):
    """What became of it."""

    released: bool = Field(description="False: it was not in your hands any more.")


class TallyView(View):
    """What people said about sampled passes of one kind."""

    kind: str = Field(description="`all`, `camera`, `class` or `model`.", examples=["camera"])
    name: str = Field(examples=["dock-3"])
    judged: int = Field(description="Sampled passes that a person called pass or fail.")
    escaped: int = Field(description="Those called fail; of a class, those called fail for it.")
    cannot_tell: int = Field(description="Those of which nobody could tell; they are in no rate.")
    rate: float | None = Field(description="escaped / judged; null while too few were judged.")
    low: float = Field(description="The exact interval of Clopper and Pearson.")
    high: float
    confidence: float = Field(examples=[CONFIDENCE])
    note: str | None = Field(description="What to make of it, where that is not much.")


class ReviewStatsView(View):
    """How the desk is doing, and what the blind sample says about automatic passes."""

    open: int
    leased: int = Field(description="Of those, in somebody's hands.")
    oldest_at: datetime | None = Field(description="Since when the oldest open item waits.")
    reviewers: dict[str, dict[str, int]] = Field(
        description="Decisions of the last 30 days that were not taken back.", examples=[{"Ann (k1)": {"pass": 12}}]
    )
    escapes: list[TallyView]


def item_document(item: ReviewItem) -> dict[str, Any]:
    """As `ReviewItemView`. The automatic verdict, the origin and the risk are left out: they would lead the eye."""
    return {
        "id": str(item.image_id),
        "facility": item.facility,
        "camera": item.camera,
        "content": f"/v1/images/{item.image_id}/content",
        "sha256": item.sha256,
        "width": item.width,
        "height": item.height,
        "version": item.version,
        "opened_at": moment(item.opened_at),
        "leased_until": moment(item.leased_until),
        "detections": boxes_document(item.detections),
    }


def tally_document(tally: Tally) -> dict[str, Any]:
    """As `TallyView`."""
    low, high = tally.interval
    return {
        "kind": tally.kind,
        "name": tally.name,
        "judged": tally.judged,
        "escaped": tally.escaped,
        "cannot_tell": tally.unclear,
        "rate": None if tally.rate is None else round(tally.rate, 6),
        "low": round(low, 6),
        "high": round(high, 6),
        "confidence": CONFIDENCE,
        "note": None if tally.is_enough else TOO_FEW,
    }


def stats_document(stats: ReviewStats) -> dict[str, Any]:
    """As `ReviewStatsView`."""
    return {
        "open": stats.open,
        "leased": stats.leased,
        "oldest_at": moment(stats.oldest_at),
        "reviewers": {name: dict(sorted(counts.items())) for name, counts in sorted(stats.reviewers.items())},
        "escapes": [tally_document(tally) for tally in stats.tallies],
    }
