"""Thresholds with a promise: conformal risk control.

Angelopoulos, Bates, Fisch, Lei and Schuster, "Conformal Risk Control", ICLR 2024, arXiv:2208.02814. For a loss that lies in
0..B and only grows with the threshold, the largest threshold with n/(n+1) R + B/(n+1) <= alpha, where R is the mean loss on
n labelled images, has an expected loss of at most alpha on the next image, if that one and the labelled ones are
exchangeable. Nothing is assumed about the model. Here B = 1, and the two losses are:

- a miss, over images that contain the class: none of its objects is found, that is, no detection of the class with at least
  `review` overlaps one by half or more. One object that is found is enough, because the gate stops images, not objects. It
  is stricter than the gate, which would stop the image for a box in the wrong place, too.
- a false alarm, over images without the class: some detection of the class has at least `fail`.

With labels for whole images there is one threshold for all defects together: a miss is a damaged image without any
detection from `review` on, a false alarm an intact one with a detection from `fail` on.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np

from framegate.gate.policy import Policy
from framegate.kernel.errors import ConfigurationError
from framegate.kernel.geometry import iou
from framegate.models.evaluation import Examined, Example, peak
from framegate.models.metrics import Array

CITATION: Final = "Angelopoulos, Bates, Fisch, Lei, Schuster: Conformal Risk Control. ICLR 2024, arXiv:2208.02814"
FOUND_OVERLAP: Final = 0.5
_STEPS = 10_000  # thresholds are rounded to 1/10,000, to the safe side


@dataclass(frozen=True, slots=True)
class Limit:
    """The thresholds of one class, and what they rest on."""

    name: str  #: of the class; "any defect" for the joint threshold
    review: float
    fail: float | None  #: None: no confidence is high enough, the class never fails an image by itself
    with_class: int  #: labelled images
    missed: int  #: of these, at `review`
    miss_bound: float  #: on the expected miss rate
    without_class: int
    alarmed: int  #: of these, at `fail`
    alarm_bound: float  #: on the expected false-alarm rate


@dataclass(frozen=True, slots=True)
class Calibration:
    """Thresholds for all defects."""

    miss_rate: float
    false_alarm_rate: float
    joint: bool
    limits: tuple[Limit, ...]

    def thresholds(self, defects: Sequence[str]) -> dict[str, dict[str, float | None]]:
        """By class, as in a policy document."""
        if self.joint:
            [limit] = self.limits
            return {name: {"review": limit.review, "fail": limit.fail} for name in defects}
        return {limit.name: {"review": limit.review, "fail": limit.fail} for limit in self.limits}


class NotEnough(ConfigurationError):
    """The risk that was asked for cannot be promised with these labels and this model."""


def allowed(n: int, risk: float) -> int:
    """How many of `n` images may be lost with the promise intact: the largest k with (k + 1) / (n + 1) <= risk; -1: none."""
    return math.floor(_exact(risk) * (n + 1)) - 1


def needed(risk: float) -> int:
    """The fewest labelled images that allow any promise: n >= B / risk - 1."""
    return math.ceil(1 / _exact(risk)) - 1


def review_threshold(caught: Array, risk: float) -> float | None:
    """The largest that keeps the miss rate; `caught` (n,): the confidence up to which each image is found, -inf for never.

    None when too many are never found. Needs n >= `needed(risk)`.
    """
    threshold = float(np.sort(caught)[allowed(len(caught), risk)])
    return None if math.isinf(threshold) else math.floor(Fraction(threshold) * _STEPS) / _STEPS


def fail_threshold(peaks: Array, risk: float) -> float | None:
    """The smallest that keeps the false-alarm rate; `peaks` (m,): each image's highest confidence, 0 for no detection.

    None when even a confidence of 1 would alarm too often. Needs m >= `needed(risk)`.
    """
    highest = float(np.sort(peaks)[::-1][allowed(len(peaks), risk)])
    step = math.floor(Fraction(highest) * _STEPS) + 1
    # The float of a step above `highest` may be `highest` itself, which would alarm.
    threshold = step / _STEPS if step / _STEPS > highest else (step + 1) / _STEPS
    return threshold if threshold <= 1 else None


def calibrate(examined: Examined, miss_rate: float, false_alarm_rate: float) -> Calibration:
    """Raises `NotEnough`, which says for each class what is missing."""
    for name, risk in (("miss rate", miss_rate), ("false-alarm rate", false_alarm_rate)):
        if not 0 < risk < 1:
            raise ConfigurationError(f"the {name} should lie between 0 and 1, not at {risk}")
    shown = [Example(seen.above(examined.manifest.floor), label) for seen, label in examined.examples]
    evidence = _joint(examined, shown) if examined.labels.image_level else _by_class(examined, shown)
    limits, problems = list[Limit](), list[str]()
    for name, (caught, peaks) in evidence.items():
        found = _limit(name, caught, peaks, miss_rate, false_alarm_rate)
        if isinstance(found, Limit):
            limits.append(found)
        else:
            problems.append(found)
    if problems:
        listed = "\n  ".join(problems)
        raise NotEnough(f"no thresholds can be promised:\n  {listed}")
    return Calibration(miss_rate, false_alarm_rate, examined.labels.image_level, tuple(limits))


def policy_document(base: Mapping[str, Any], calibration: Calibration, examined: Examined) -> dict[str, Any]:
    """`base` with the calibrated thresholds and, under `calibration`, what they rest on; the rest of `base` stays."""
    facts = examined.to_json()
    document = {
        **base,
        "classes": {**base["classes"], **calibration.thresholds(examined.defects)},
        "calibration": {
            "method": CITATION,
            "miss_rate": calibration.miss_rate,
            "false_alarm_rate": calibration.false_alarm_rate,
            "limits": [asdict(limit) for limit in calibration.limits],
            "model": facts["model"],
            "model_sha256": facts["model_sha256"],
            "engine": facts["engine"],
            "data_sha256": facts["data"]["sha256"],
            "images": facts["data"]["images"],
        },
    }
    Policy.parse(0, document)
    return document


def _exact(risk: float) -> Fraction:
    """As people wrote it: 0.29 * 100 is 29, which it is not in binary."""
    return Fraction(str(risk))


def _joint(examined: Examined, shown: Sequence[Example]) -> dict[str, tuple[Array, Array]]:
    peaks = np.array([peak(seen, examined.defect_ids) for seen, _ in shown])
    damaged = examined.damaged()
    return {"any defect": (np.where(peaks > 0, peaks, -np.inf)[damaged], peaks[~damaged])}


def _by_class(examined: Examined, shown: Sequence[Example]) -> dict[str, tuple[Array, Array]]:
    """For each defect: (up to which confidence each image with it is found, the peak of each image without it)."""
    evidence = {}
    for name, class_id in zip(examined.defects, examined.defect_ids, strict=True):
        inside = [(label.class_id == class_id).any() for _, label in shown]
        caught = [_caught(example, class_id) for example, there in zip(shown, inside, strict=True) if there]
        peaks = [peak(seen, [class_id]) for (seen, _), there in zip(shown, inside, strict=True) if not there]
        evidence[name] = np.array(caught), np.array(peaks)
    return evidence


def _caught(example: Example, class_id: int) -> float:
    boxes, label = example.seen.found.detections, example.label
    ours = boxes.class_id == class_id
    shared = iou(boxes.xyxy[ours], label.xyxy[label.class_id == class_id]).max(axis=1, initial=0)
    return float(boxes.confidence[ours][shared >= FOUND_OVERLAP].max(initial=-np.inf))


def _limit(name: str, caught: Array, peaks: Array, miss_rate: float, false_alarm_rate: float) -> Limit | str:
    """The thresholds, or a sentence that says why not."""
    n, m = len(caught), len(peaks)
    least, least_without = needed(miss_rate), needed(false_alarm_rate)
    if n < least:
        return (
            f"{name}: {n} labelled images contain it; a miss rate of {miss_rate:g} takes at least {least} "
            f"({least - n} more). Leave the class out with --defect, or ask for a higher --miss-rate"
        )
    if m < least_without:
        return (
            f"{name}: {m} labelled images are without it; a false-alarm rate of {false_alarm_rate:g} takes at least "
            f"{least_without} ({least_without - m} more)"
        )
    review = review_threshold(caught, miss_rate)
    if review is None:
        never = int(np.isinf(caught).sum())
        return (
            f"{name}: the model never finds it in {never} of {n} images, whatever the threshold: with these labels the "
            f"lowest miss rate that can be promised is {math.ceil((never + 1) / (n + 1) * 1000) / 1000:g}. "
            "Train the model on more such images, or ask for a higher --miss-rate"
        )
    fail = fail_threshold(peaks, false_alarm_rate)
    # Raising it costs no promise: there are only fewer alarms.
    fail = None if fail is None else max(fail, review)
    missed = int((caught < review).sum())
    alarmed = 0 if fail is None else int((peaks >= fail).sum())
    return Limit(name, review, fail, n, missed, _promised(n, miss_rate), m, alarmed, _promised(m, false_alarm_rate))


def _promised(n: int, risk: float) -> float:
    """At most `risk`; not made of what was observed, which would be a promise chosen after the fact."""
    return (allowed(n, risk) + 1) / (n + 1)
