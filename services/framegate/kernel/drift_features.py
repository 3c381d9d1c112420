"""What is counted of each image, so that windows of images can be compared."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from math import log2
from typing import Final

from framegate.kernel.ids import CameraId, FacilityId, ImageId
from framegate.kernel.inspection import Prepared

#: Feature and bin: a number where bins have an order, else a category, which begins with `CATEGORY`.
Bin = tuple[str, str]
CATEGORY: Final = "="
OTHER: Final = "=other"
NONE: Final = "=none"
#: Categories of one feature, and classes whose confidence is looked at: models of thousands of classes exist.
MOST_CATEGORIES: Final = 48
MOST_CLASSES: Final = 16
_LONGEST: Final = 120


class Part(StrEnum):
    """Features that are compared with the same reference."""

    PICTURE = "picture"  #: of the camera alone: stays when another model comes
    MODEL = "model"  #: of what the model finds in it


class Kind(StrEnum):
    """What may drift."""

    CAMERA = "camera"
    MODEL = "model"


@dataclass(frozen=True, slots=True)
class Feature:
    """One measure; `edges` are the lower ends of all bins but the first. Without edges its bins are categories."""

    name: str
    title: str
    part: Part
    edges: tuple[float, ...] = ()
    unit: str = ""


def _steps(first: float, last: float, step: float) -> tuple[float, ...]:
    return tuple(first + step * n for n in range(round((last - first) / step) + 1))


def _powers(first: float, last: float, step: float) -> tuple[float, ...]:
    return tuple(2**exponent for exponent in _steps(first, last, step))


_SHARES: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
_TWENTIETHS: Final = tuple(n / 20 for n in range(1, 20))
FEATURES: Final = {
    one.name: one
    for one in (
        Feature("sharpness", "sharpness", Part.PICTURE, _powers(-1, 13, 0.5)),
        Feature("brightness", "brightness", Part.PICTURE, _steps(6, 252, 6)),
        Feature("contrast", "contrast", Part.PICTURE, _steps(4, 120, 4)),
        Feature("dark", "share without light", Part.PICTURE, _SHARES),
        Feature("bright", "share without shade", Part.PICTURE, _SHARES),
        Feature("blue", "blue against grey", Part.PICTURE, _steps(-40, 40, 1)),
        Feature("red", "red against grey", Part.PICTURE, _steps(-40, 40, 1)),
        Feature("metadata", "metadata that came with it", Part.PICTURE),
        Feature("verdict", "verdicts", Part.MODEL),
        Feature("class", "classes", Part.MODEL),
        Feature("boxes", "boxes in an image", Part.MODEL, tuple(n + 0.5 for n in range(20))),
        Feature("top", "confidence of the surest box", Part.MODEL, _TWENTIETHS),
        Feature("area", "size of boxes", Part.MODEL, _powers(-14, 0, 1)),
        Feature("aspect", "width / height of boxes", Part.MODEL, _powers(-3, 3, 0.5)),
        Feature("across", "boxes from left to right", Part.MODEL, _TWENTIETHS[1::2]),
        Feature("down", "boxes from top to bottom", Part.MODEL, _TWENTIETHS[1::2]),
    )
}
_OF_BOXES: Final = frozenset({"class", "confidence", "area", "aspect", "across", "down"})
#: Of one class each: `confidence:hole`.
_CONFIDENCE: Final = Feature("confidence", "confidence", Part.MODEL, _TWENTIETHS)


def feature(name: str) -> Feature:
    """Also of one class. Unknown names, of another release, have no bins of their own."""
    base, _, of = name.partition(":")
    if of and base == _CONFIDENCE.name:
        return Feature(name, f"confidence of {of}", Part.MODEL, _CONFIDENCE.edges)
    return FEATURES.get(name) or Feature(name, name, Part.MODEL)


def family(name: str) -> str:
    """Without the class, for what must have few values."""
    return name.partition(":")[0]


def counted(name: str) -> str:
    """What a measure is of, for people."""
    return "boxes" if family(name) in _OF_BOXES else "images"


Box = tuple[str, float, tuple[float, float, float, float]]


@dataclass(frozen=True, slots=True)
class Seen:
    """One live image that ended."""

    sequence: int
    facility: FacilityId
    camera: CameraId
    image_id: ImageId
    at: datetime  #: when it was received
    ended_as: str  #: the verdict, else the state
    model: str | None  #: name@version that decided
    prepared: Prepared | None
    boxes: Sequence[Box]  #: class, confidence, corners in pixels of the upright original; the surest first
    metadata: Sequence[str]  #: the names
    faulty: bool = False  #: its camera has a fault: what it shows is no drift

    @property
    def input(self) -> str | None:
        """What its measures were taken of: they depend on it."""
        box = self.prepared and self.prepared.letterbox
        return f"{box.input_width}x{box.input_height}" if box else None


def picture_bins(seen: Seen) -> Iterator[Bin]:
    """Of `Part.PICTURE`; nothing of pictures that could not be decoded, but what came with them."""
    yield "metadata", CATEGORY + (",".join(sorted(seen.metadata))[:_LONGEST] or "none")
    if seen.prepared is None:
        return
    quality = seen.prepared.quality
    values = {
        "sharpness": quality.sharpness,
        "brightness": quality.exposure,
        "contrast": quality.contrast,
        "dark": quality.clipped_dark,
        "bright": quality.clipped_bright,
    }
    if quality.tint is not None:
        values |= {"blue": quality.tint[0], "red": quality.tint[1]}
    for name, value in values.items():
        yield _bin(name, value)


def model_bins(seen: Seen) -> Iterator[Bin]:
    """Of `Part.MODEL`."""
    yield "verdict", CATEGORY + seen.ended_as
    if seen.model is None:
        return
    yield _bin("boxes", len(seen.boxes))
    if not seen.boxes:
        yield "top", NONE
        yield "class", NONE
        return
    yield _bin("top", seen.boxes[0][1])
    frame = seen.prepared and (seen.prepared.letterbox.width, seen.prepared.letterbox.height)
    for name, confidence, corners in seen.boxes:
        yield "class", CATEGORY + name[:_LONGEST]
        yield f"confidence:{name[:_LONGEST]}", str(bisect_right(_TWENTIETHS, confidence))
        if frame:
            yield from _geometry(corners, *frame)


def _geometry(corners: tuple[float, float, float, float], width: int, height: int) -> Iterator[Bin]:
    x1, y1, x2, y2 = corners
    across, down = max(x2 - x1, 1.0), max(y2 - y1, 1.0)
    yield _bin("area", across * down / (width * height))
    yield _bin("aspect", across / down)
    yield _bin("across", (x1 + x2) / 2 / width)
    yield _bin("down", (y1 + y2) / 2 / height)


def _bin(name: str, value: float) -> Bin:
    return name, str(bisect_right(FEATURES[name].edges, value))


def count(counts: dict[str, dict[str, int]], bins: Iterator[Bin]) -> None:
    """Adds one image to histograms; what there are too many of is counted together, or not at all."""
    for name, key in bins:
        if name not in counts and family(name) != name and sum(":" in one for one in counts) >= MOST_CLASSES:
            continue
        histogram = counts.setdefault(name, {})
        if key not in histogram and key.startswith(CATEGORY) and len(histogram) >= MOST_CATEGORIES:
            key = OTHER  # noqa: PLW2901 (what it is counted as)
        histogram[key] = histogram.get(key, 0) + 1


def merge(counts: dict[str, dict[str, int]], more: Mapping[str, Mapping[str, int]]) -> None:
    """Adds `more` to `counts`."""
    for name, histogram in more.items():
        mine = counts.setdefault(name, {})
        for key, number in histogram.items():
            mine[key] = mine.get(key, 0) + number


def label(name: str, first: int | None, last: int | None) -> str:
    """The values of the bins from `first` to `last` (None: without an end), for people."""
    edges = feature(name).edges
    if name == "boxes":
        low, high = first or 0, last
        return f"{low}" if low == high else f"{low} or more" if high is None else f"{low} to {high}"
    low_edge = edges[first - 1] if first and first <= len(edges) else None
    high_edge = edges[last] if last is not None and last < len(edges) else None
    if low_edge is None:
        return "any" if high_edge is None else f"below {_short(high_edge)}"
    return f"{_short(low_edge)} or more" if high_edge is None else f"{_short(low_edge)} to {_short(high_edge)}"


def _short(value: float) -> str:
    if value and abs(value) < 0.001:
        return f"2^{log2(value):.0f}" if log2(value) % 1 == 0 else f"{value:.1g}"
    return f"{value:.3g}"
