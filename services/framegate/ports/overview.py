"""What pages ask that show many things at once: light rows, and work that is bounded whatever the history.

Facilities outside the caller's are never seen. Every method may raise `DependencyUnavailable`, and `TooBroad` where a read
takes longer than somebody who looks at a page would wait.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from framegate.kernel.ids import CameraId, FacilityId, ImageId
from framegate.kernel.states import ImageState, Lane, Stage, Verdict
from framegate.ports.upkeep import Conservation

#: The longest time that rates are counted over.
LONGEST_WINDOW: Final = timedelta(hours=1)
#: Over which throughput and troubles of the stages are told.
LATELY: Final = timedelta(minutes=5)
#: A worker that reported within this is alive.
ALIVE: Final = timedelta(seconds=15)
NEIGHBOURS_EACH_WAY: Final = 4
MOST_TOGETHER: Final = 12
MOST_POINTS: Final = 1000
MOST_TROUBLES: Final = 20
#: Of each kind of facet.
MOST_CHOICES: Final = 200
#: Metadata that says that images show the same goods, most telling first.
TOGETHER: Final = ("shipment", "sscc")


@dataclass(frozen=True, slots=True)
class Glimpse:
    """As much of an image as a tile or a line shows."""

    facility: FacilityId
    image_id: ImageId
    camera: CameraId
    received_at: datetime
    state: ImageState
    verdict: Verdict | None  #: the effective one


@dataclass(frozen=True, slots=True)
class CameraRate:
    """One camera: what it sent last, whenever that was, and what became of the images that ended lately."""

    facility: FacilityId
    camera: CameraId
    dock: str | None  #: metadata of the newest image
    newest: Glimpse | None
    ended: Mapping[str, int]  #: by verdict, or by state where there is none: pass, fail, review, rejected, failed
    median_ms: float | None  #: from when an image was received to its verdict


@dataclass(frozen=True, slots=True)
class StageFlow:
    """One stage and lane at this moment. Of ingest, only what passed is known."""

    stage: Stage
    lane: Lane
    waiting: int
    working: int  #: claimed by a worker whose lease holds
    oldest_s: float | None  #: since when the one that was here first has not moved on
    last_minute: int  #: images that it passed on
    lately: int  #: the same within `LATELY`


@dataclass(frozen=True, slots=True)
class Trouble:
    """Attempts within `LATELY` that did not complete, for the same cause."""

    stage: str
    ending: str
    cause: str
    times: int


@dataclass(frozen=True, slots=True)
class Flow:
    """The pipeline: stages in the order of the flow, live before bulk."""

    stages: Sequence[StageFlow]
    alive: Mapping[Stage, int]  #: workers
    ready: Mapping[Stage, int]  #: of these, those that say that they can work
    troubles: Sequence[Trouble]  #: the most frequent first


@dataclass(frozen=True, slots=True)
class Stock:
    """What `Upkeep.take_stock` counted last in one facility."""

    facility: FacilityId
    counted_at: datetime
    sums: Conservation


@dataclass(frozen=True, slots=True)
class Missing:
    """An image that was accepted and is neither in flight nor ended."""

    facility: FacilityId
    image_id: ImageId
    camera: CameraId
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Around one image, newest first."""

    newer: Sequence[Glimpse]  #: of the same camera, next to it
    older: Sequence[Glimpse]
    together: Sequence[Glimpse]  #: others with the same shipment, or else the same logistic unit


@dataclass(frozen=True, slots=True)
class QualityPoint:
    """One image on a trend line."""

    image_id: ImageId
    received_at: datetime
    measures: Mapping[str, Any]  #: as `kernel.inspection.Quality.to_json`
    verdict: Verdict | None


@dataclass(frozen=True, slots=True)
class Facets:
    """What a search may ask for, in the order of the names; up to `MOST_CHOICES` of each."""

    cameras: Sequence[str]
    classes: Sequence[str]
    models: Sequence[str]
    reasons: Sequence[str]


class Overview(Protocol):
    """For pages."""

    def rates(self, facilities: frozenset[FacilityId], since: timedelta) -> list[CameraRate]:
        """Every camera, ordered by facility and name, with what ended within `since` (at most `LONGEST_WINDOW` counts)."""
        ...

    def newest(self, facilities: frozenset[FacilityId], each: int) -> list[Glimpse]:
        """Up to `each` images of every camera, newest first."""
        ...

    def stages(self) -> Flow:
        """Of the whole site: the stages belong to no facility."""
        ...

    def stock(self, facilities: frozenset[FacilityId]) -> list[Stock]:
        """The last count, ordered by facility; those of which none was made are absent."""
        ...

    def missing(self, facilities: frozenset[FacilityId], limit: int) -> list[Missing]:
        """Of those that the last count found (up to 100 in each facility) the ones that are missing still, oldest first."""
        ...

    def neighbours(self, facilities: frozenset[FacilityId], image_id: ImageId) -> Neighbours | None:
        """None also for another facility's image."""
        ...

    def quality(self, facilities: frozenset[FacilityId], camera: CameraId, limit: int) -> list[QualityPoint]:
        """The newest images of a camera that have an outcome and were measured, newest first; at most `MOST_POINTS`."""
        ...

    def facets(self, facilities: frozenset[FacilityId]) -> Facets:
        """What occurs, however long ago."""
        ...
