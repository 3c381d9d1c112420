"""What was found in a picture, ready to be drawn and listed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from framegate.dashboard.demands import Demands, Limits
from framegate.kernel.inspection import ImageFacts, Look
from framegate.kernel.reviews import standing
from framegate.ports.store import ImageRecord

Seen = tuple[str, float, tuple[float, float, float, float]]

#: Colours that the style sheet has for classes.
_COLOURS: Final = 8
#: Of the layer of boxes that people drew.
DRAWN: Final = "drawn by people"
#: Of a label, in pixels of the screen: its text is set in a monospaced face.
_CHARACTER: Final = 7.25
#: Below it, what counts for nothing would only hide the picture with labels.
_WEAK: Final = 0.25
#: How many pixels wide a picture is shown where no script measures it, alone and beside another one.
_SHOWN: Final = 900
_SHOWN_BESIDE: Final = 540


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels of the upright picture, and its label. `counts`: fail, review, or nothing."""

    n: int
    name: str
    layer: str  #: what it is shown and hidden with
    colour: str
    confidence: float | None  #: None: a person drew it
    counts: str
    x: float
    y: float
    width: float
    height: float
    called: Sequence[str] = ()  #: what the chain's classifiers called it

    @property
    def is_weak(self) -> bool:
        """Whether it counts for nothing and is hardly more than noise."""
        return not self.counts and self.confidence is not None and self.confidence < _WEAK

    @property
    def said(self) -> str:
        """On its label."""
        return self.name if self.confidence is None else f"{self.name} {self.confidence:.2f}"

    @property
    def label_width(self) -> float:
        """In pixels of the screen."""
        return len(self.said) * _CHARACTER + 10


@dataclass(frozen=True, slots=True)
class Layer:
    """Boxes that are shown and hidden together."""

    name: str
    colour: str
    count: int


@dataclass(frozen=True, slots=True)
class Picture:
    """What is shown of an image: all of it, or with `region` (x, y, width, height) a part."""

    image_id: str
    width: int
    height: int
    boxes: Sequence[Box]
    region: tuple[float, float, float, float]
    marked: tuple[float, float, float, float] | None = None  #: what was looked at again
    shown: int = _SHOWN

    @property
    def unit(self) -> float:
        """Pixels of the picture to one of the screen, about."""
        return max(self.region[2], self.region[3]) / self.shown

    @property
    def listed(self) -> list[Box]:
        """What counts first."""
        return sorted(self.boxes, key=lambda box: (box.counts != "fail", box.counts != "review"))

    @property
    def layers(self) -> list[Layer]:
        """In the order in which they are first met."""
        names = dict.fromkeys((box.layer, box.colour) for box in self.boxes)
        return [Layer(name, colour, sum(box.layer == name for box in self.boxes)) for name, colour in names]


@dataclass(frozen=True, slots=True)
class ClassRow:
    """A class that counts, or was seen: the most confident detection of it, and its thresholds."""

    name: str
    seen: int
    highest: float | None
    limits: Limits

    @property
    def counts(self) -> str:
        """What it comes to by itself: fail, review or nothing."""
        return "" if self.highest is None else self.limits.verdict(self.highest)


def upright(facts: ImageFacts) -> tuple[int, int]:
    """Width and height of the picture as it is looked at."""
    return (facts.height, facts.width) if facts.orientation >= 5 else (facts.width, facts.height)


def picture_of(record: ImageRecord, demands: Demands) -> Picture:
    """With all that was found, and what the person drew whose word stands."""
    colours = _colours(record)
    boxes = list(boxes_of(record.detections, demands, colours))
    for label in record.labels:
        if label.detection is not None and label.detection < len(boxes):
            box = boxes[label.detection]
            boxes[label.detection] = _called(box, f"{label.name} {label.confidence:.2f} ({label.model})")
    said = standing(record.reviews)
    for drawn in said.decision.boxes if said else ():
        x1, y1, x2, y2 = drawn.box
        boxes.append(Box(len(boxes), drawn.name, DRAWN, "drawn", None, "fail", x1, y1, x2 - x1, y2 - y1))
    width, height = upright(record.facts)
    return Picture(str(record.facts.image_id), width, height, boxes, (0, 0, width, height))


def look_picture(record: ImageRecord, look: Look, other: Look, demands: Demands) -> Picture:
    """What one of two looks saw, in what it saw of the picture; what `other` looked at is marked in it."""
    width, height = upright(record.facts)
    whole = (0, 0, width, height)
    boxes = list(boxes_of(look.seen, demands, _colours(record)))
    marked = _span(other.region) if look.region is None and other.region is not None else None
    return Picture(str(record.facts.image_id), width, height, boxes, _span(look.region) or whole, marked, _SHOWN_BESIDE)


def boxes_of(seen: Iterable[Seen], demands: Demands, colours: dict[str, str]) -> Iterable[Box]:
    """In their order."""
    for n, (name, confidence, (x1, y1, x2, y2)) in enumerate(seen):
        counts = demands.of(name).verdict(confidence)
        yield Box(n, name, name, colours[name], confidence, counts, x1, y1, x2 - x1, y2 - y1)


def class_rows(record: ImageRecord, demands: Demands) -> list[ClassRow]:
    """Those that count against the image first, then those that could have."""
    names = dict.fromkeys([name for name, _, _ in record.detections] + list(demands.classes))
    rows = []
    for name in names:
        found = [confidence for other, confidence, _ in record.detections if other == name]
        if found or demands.of(name).matter:
            rows.append(ClassRow(name, len(found), max(found, default=None), demands.of(name)))
    return sorted(rows, key=lambda row: (row.counts != "fail", row.counts != "review", not row.limits.matter))


def _colours(record: ImageRecord) -> dict[str, str]:
    """The same for a class in every picture of the page."""
    names = [name for name, _, _ in record.detections] + [name for look in record.looks for name, _, _ in look.seen]
    return {name: f"k{n % _COLOURS}" for n, name in enumerate(dict.fromkeys(names))}


def _called(box: Box, name: str) -> Box:
    return replace(box, called=(*box.called, name))


def _span(region: tuple[int, int, int, int] | None) -> tuple[float, float, float, float] | None:
    return None if region is None else (region[0], region[1], region[2] - region[0], region[3] - region[1])
