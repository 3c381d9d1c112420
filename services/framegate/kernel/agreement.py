"""Whether two engines see the same: their detections of the same frames, compared box by box."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from framegate.kernel.detections import Detections
from framegate.kernel.geometry import iou

#: Boxes that overlap less are two findings, not one that moved.
_SAME_OBJECT: Final = 0.5


@dataclass(frozen=True, slots=True)
class Tolerances:
    """How far two engines may be apart and still agree."""

    clear: float = 0.30  #: boxes of at least this confidence need a partner on the other side, whatever its own
    iou: float = 0.90  #: the least overlap of partners, in pixels of the original
    confidence: float = 0.03  #: the largest difference of partners


USUAL: Final = Tolerances()


@dataclass(frozen=True, slots=True)
class Agreement:
    """What became of the clear boxes of some frames; the values start at those of no frame at all."""

    frames: int = 0
    boxes: int = 0  #: clear on at least one side; partners count once
    lost: int = 0  #: the reference has it, the other has no box of this class there
    new: int = 0  #: the other way round
    apart: int = 0  #: partners beyond the tolerances
    confidence: float = 0.0  #: the largest difference of partners
    iou: float = 1.0  #: the smallest overlap of partners

    @property
    def holds(self) -> bool:
        """Every clear box has its partner within the tolerances; also true where there is no box."""
        return not (self.lost or self.new or self.apart)

    def __add__(self, other: Self) -> "Agreement":
        return Agreement(
            self.frames + other.frames,
            self.boxes + other.boxes,
            self.lost + other.lost,
            self.new + other.new,
            self.apart + other.apart,
            max(self.confidence, other.confidence),
            min(self.iou, other.iou),
        )

    def __str__(self) -> str:
        return (
            f"of {self.boxes} boxes in {self.frames} frames {self.lost} lost, {self.new} new, {self.apart} apart; "
            f"confidence differs by up to {self.confidence:.3f}, overlap is at least {self.iou:.3f}"
        )

    def to_json(self) -> dict[str, Any]:
        """Rounded for people; also what a manifest keeps of it."""
        return asdict(self) | {"confidence": round(self.confidence, 4), "iou": round(self.iou, 4)}


def compare_all(
    reference: Iterable[Detections], found: Iterable[Detections], tolerances: Tolerances = USUAL
) -> Agreement:
    """Over the same frames in the same order."""
    each = (compare(ours, theirs, tolerances) for ours, theirs in zip(reference, found, strict=True))
    return sum(each, Agreement())


def compare(reference: Detections, found: Detections, tolerances: Tolerances = USUAL) -> Agreement:
    """One frame. Partners are of one class and chosen greedily, the most alike first, each box once."""
    overlap = iou(reference.xyxy, found.xyxy)
    difference = np.abs(reference.confidence[:, None] - found.confidence[None, :])
    clear, clear_found = reference.confidence >= tolerances.clear, found.confidence >= tolerances.clear
    lost, new, boxes, apart = clear.copy(), clear_found.copy(), 0, 0
    largest, smallest = 0.0, 1.0
    for i, j in _partners(overlap, difference, reference.class_id[:, None] == found.class_id[None, :]):
        if not (clear[i] or clear_found[j]):
            continue
        lost[i] = new[j] = False
        boxes += 1
        largest, smallest = max(largest, float(difference[i, j])), min(smallest, float(overlap[i, j]))
        apart += bool(difference[i, j] > tolerances.confidence or overlap[i, j] < tolerances.iou)
    alone = int(lost.sum()), int(new.sum())
    return Agreement(1, boxes + sum(alone), *alone, apart, largest, smallest)


def _partners(
    overlap: NDArray[np.float64], difference: NDArray[np.float32], same_class: NDArray[np.bool_]
) -> list[tuple[int, int]]:
    rows, columns = np.nonzero(same_class & (overlap >= _SAME_OBJECT))
    order = np.argsort(difference[rows, columns] - overlap[rows, columns], kind="stable")
    partners: list[tuple[int, int]] = []
    taken, taken_found = set[int](), set[int]()
    for i, j in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if i not in taken and j not in taken_found:
            taken.add(i)
            taken_found.add(j)
            partners.append((i, j))
    return partners
