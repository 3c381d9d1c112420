"""How well boxes and scores agree with what people said. Pure arithmetic on arrays.

The definitions are COCO's, with the curve between its points as `ultralytics val` draws it (8.4): a detection claims, from
the most confident down, the unclaimed object of its class that it overlaps most; average precision is the area under the
envelope of precision over recall, read at 101 points with straight lines between the measured ones. What differs from
`ultralytics val`:

- a perfect class scores 1, there 0.995: its curve falls to zero at the highest recall, ours just after it;
- boxes are those that the pipeline gives, cut off at the frame; there they may reach into the padding (on 60 renders of
  cartons with many at the edge, mAP50 0.3812 here and 0.3778 there; 0.3778 here, too, without the cut);
- precision and recall are given at each class's own best F1, there at one smoothed confidence for all classes;
- the confusion matrix has a row for each true class and a column for each found one, there the other way round.

COCO's own tool takes steps instead of straight lines, which makes it lower where a class has few objects.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from framegate.kernel.detections import Detections
from framegate.kernel.geometry import iou

Array = NDArray[np.float64]

#: The overlaps (intersection over union) of mAP50-95; the first is that of mAP50.
OVERLAPS: Final[Array] = np.linspace(0.5, 0.95, 10)
#: Where curves are read.
RECALLS: Final[Array] = np.linspace(0, 1, 101)
#: Confidence and overlap of the confusion matrix.
CONFUSION_CONFIDENCE, CONFUSION_OVERLAP = 0.25, 0.5


class Objects(Protocol):
    """What is truly there."""

    @property
    def xyxy(self) -> NDArray[np.float32]:
        """(n, 4)."""
        ...

    @property
    def class_id(self) -> NDArray[np.int32]:
        """(n,)."""
        ...


class Pair(NamedTuple):
    """One image: what was found, and what is there."""

    found: Detections
    truth: Objects


@dataclass(frozen=True, slots=True, eq=False)
class ClassScore:
    """One class that has labelled objects."""

    name: str
    objects: int
    images: int  #: that contain it
    ap50: float
    ap50_95: float
    precision: float  #: at `confidence`, overlap 0.5
    recall: float
    confidence: float  #: of the best F1; nan when nothing was found
    curve: Array  #: (101,) precision at `RECALLS`, overlap 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Means are over the classes with labelled objects; a class without any has no average precision."""

    classes: tuple[ClassScore, ...]
    confusion: NDArray[np.int64]  #: (k + 1, k + 1), rows true, columns found; the last of each is the background
    confidence: Array  #: (n,) of all detections of these classes
    correct: NDArray[np.bool_]  #: (n,) whether each claims an object at overlap 0.5

    @property
    def map50(self) -> float:
        """Mean over classes."""
        return float(np.mean([score.ap50 for score in self.classes]))

    @property
    def map50_95(self) -> float:
        """Mean over classes and overlaps."""
        return float(np.mean([score.ap50_95 for score in self.classes]))


def claims(shared: Array, least: Array = OVERLAPS) -> NDArray[np.bool_]:
    """`shared` (n, m): overlaps of detections, by falling confidence, with objects -> (n, len(least)): who claims one."""
    claimed = np.zeros((len(shared), len(least)), np.bool_)
    taken = np.zeros((shared.shape[1], len(least)), np.bool_)
    steps = np.arange(len(least))
    for i in np.flatnonzero(shared.max(axis=1, initial=0) >= least.min()):
        free = np.where(taken, -1.0, shared[i, :, None])
        best = free.argmax(axis=0)
        claimed[i] = free[best, steps] >= least
        taken[best[claimed[i]], steps[claimed[i]]] = True
    return claimed


def score(pairs: Sequence[Pair], classes: Sequence[str]) -> Scores:
    """Of all images of a set. The detections' floor should be near 0 (0.001), or the curves end early."""
    scored, confidences, correct = [], [np.zeros(0)], [np.zeros(0, np.bool_)]
    for class_id, name in enumerate(classes):
        objects = [int((pair.truth.class_id == class_id).sum()) for pair in pairs]
        if not any(objects):
            continue
        confidence, good = _of_class(pairs, class_id)
        scored.append(_score(name, confidence, good, objects))
        confidences.append(confidence)
        correct.append(good[:, 0])
    return Scores(tuple(scored), _confusion(pairs, len(classes)), np.concatenate(confidences), np.concatenate(correct))


def average_precision(recall: Array, precision: Array) -> tuple[float, Array]:
    """The area, and the envelope (101,) at `RECALLS`; both inputs (n,) by falling confidence."""
    if not len(recall):
        return 0.0, np.zeros(len(RECALLS))
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    curve = np.interp(RECALLS, np.concatenate([[0], recall]), np.concatenate([[1], envelope]), right=0)
    return float((curve[:-1] + curve[1:]).mean() / 2), curve


def roc_auc(scores: Array, positive: NDArray[np.bool_]) -> float:
    """The chance that a positive scores above a negative, ties counting half; needs both kinds."""
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    n, m = int(positive.sum()), int((~positive).sum())
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * m))


def reliability(confidence: Array, correct: NDArray[np.bool_], bins: int = 10) -> list[tuple[float, float, int]]:
    """For each of equal bins of confidence that is not empty: (mean confidence, share that is correct, how many)."""
    bin_of = np.minimum((confidence * bins).astype(np.intp), bins - 1)
    chosen = [bin_of == number for number in range(bins)]
    return [(float(confidence[c].mean()), float(correct[c].mean()), int(c.sum())) for c in chosen if c.any()]


def _of_class(pairs: Sequence[Pair], class_id: int) -> tuple[Array, NDArray[np.bool_]]:
    """Confidences (n,) of all images, falling, and which claim an object, (n, 10)."""
    confidence, good = [np.zeros(0)], [np.zeros((0, len(OVERLAPS)), np.bool_)]
    for found, truth in pairs:
        ours = found.class_id == class_id
        confidence.append(found.confidence[ours].astype(np.float64))
        good.append(claims(iou(found.xyxy[ours], truth.xyxy[truth.class_id == class_id])))
    flat = np.concatenate(confidence)
    order = np.argsort(-flat, kind="stable")
    return flat[order], np.concatenate(good)[order]


def _score(name: str, confidence: Array, good: NDArray[np.bool_], objects: Sequence[int]) -> ClassScore:
    total = sum(objects)
    hits = np.cumsum(good, axis=0, dtype=np.float64)
    recall, precision = hits / total, hits / np.arange(1, len(hits) + 1)[:, None]
    areas = [average_precision(recall[:, step], precision[:, step]) for step in range(len(OVERLAPS))]
    images = sum(count > 0 for count in objects)
    mean = float(np.mean([area for area, _ in areas]))
    if not len(confidence):
        return ClassScore(name, total, images, 0.0, 0.0, 0.0, 0.0, float("nan"), areas[0][1])
    r, p = recall[:, 0], precision[:, 0]
    best = int(np.argmax(2 * p * r / np.maximum(p + r, 1e-12)))
    at = float(p[best]), float(r[best]), float(confidence[best])
    return ClassScore(name, total, images, areas[0][0], mean, *at, areas[0][1])


def _confusion(pairs: Sequence[Pair], classes: int) -> NDArray[np.int64]:
    """Here a detection claims the object that it overlaps most, whatever the class of either."""
    matrix = np.zeros((classes + 1, classes + 1), np.int64)
    for found, truth in pairs:
        strong = found.confidence >= CONFUSION_CONFIDENCE
        shared = iou(found.xyxy[strong], truth.xyxy)
        free = np.ones(len(truth.class_id), np.bool_)
        for row, class_id in zip(shared, found.class_id[strong], strict=True):
            best = int(np.where(free, row, -1).argmax()) if free.any() else -1
            if best >= 0 and row[best] >= CONFUSION_OVERLAP:
                matrix[truth.class_id[best], class_id] += 1
                free[best] = False
            else:
                matrix[classes, class_id] += 1
        matrix[:, classes] += np.bincount(truth.class_id[free], minlength=classes + 1)
    return matrix
