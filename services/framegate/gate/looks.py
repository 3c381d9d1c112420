"""The second look: at which part of an image it is, and what becomes of both looks together; pure, as `decide` is.

A second look can clear a doubt and it can find a defect, and nothing else: what the first look alone fails, fails.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from framegate.gate.alerting import LOOK_UNCERTAIN, LOOKS_DISAGREE, UNCERTAIN, Occurrence, alerts_about
from framegate.gate.decide import Defect, defects, judge, timed
from framegate.gate.policy import Policy, Rules, SecondLook
from framegate.kernel.detections import Detections
from framegate.kernel.geometry import Letterbox, Region
from framegate.kernel.inspection import (
    LOOK_FAILED,
    Finding,
    FirstLook,
    ImageFacts,
    Inspected,
    Label,
    Look,
    Outcome,
    Prepared,
)
from framegate.kernel.states import Verdict

#: Around the doubtful boxes, as a share of their own size: a dent is told from a shadow by what is around it.
_MARGIN: Final = 0.5
#: How many times larger a second look shows things, at most and at least. More is not better: a model knows things in the
#: sizes that it was trained on, and with what is around them.
_MOST_GAIN: Final = 1.5
_LEAST_GAIN: Final = 1.25
#: Pixels of the model's input for one of the original, at most: what is larger than that is only blurred.
_MOST_ZOOM: Final = 2.0


def is_only_uncertain(end: Occurrence) -> bool:
    """Whether detections between their thresholds are all that keeps an image from a pass."""
    return end.verdict is Verdict.REVIEW and set(end.reasons) == {UNCERTAIN}


def doubtful_region(rules: Rules, prepared: Prepared, found: Inspected) -> Region | None:
    """What of the upright original to look at again; None where no look would show more of it."""
    box = prepared.letterbox
    corners = found.detections.xyxy[[n for n, _, _ in defects(rules, found)[1]]]
    if not len(corners):
        return None
    low, high = corners[:, :2].min(axis=0).astype(float), corners[:, 2:].max(axis=0).astype(float)
    size = (high - low) * (1 + 2 * _MARGIN)
    # In the shape of the input, so that all of it is used.
    most = min(_MOST_GAIN * zoom_of(box), _MOST_ZOOM)
    scale = max(size[0] / box.input_width, size[1] / box.input_height, 1 / most)
    x, width = _span((low[0] + high[0]) / 2, box.input_width * scale, box.width)
    y, height = _span((low[1] + high[1]) / 2, box.input_height * scale, box.height)
    zoom = min(box.input_width / width, box.input_height / height)
    return Region(x, y, width, height) if zoom >= _LEAST_GAIN * zoom_of(box) else None


def zoom_of(box: Letterbox) -> float:
    """Pixels of the input for one of the original, before the content is rounded to whole ones."""
    return min(box.input_width / box.width, box.input_height / box.height)


def _span(middle: float, size: float, limit: int) -> tuple[int, int]:
    """(start, length) of whole pixels around `middle`, moved and cut so that it lies in 0..`limit`."""
    length = min(limit, max(1, round(size)))
    return min(max(0, round(middle - length / 2)), limit - length), length


def decide_again(
    policy: Policy,
    image: ImageFacts,
    first: FirstLook,
    prepared: Prepared | None,
    finding: Finding,
    waited_s: float = 0.0,
) -> Outcome:
    """After the second look. `prepared` and `finding` are of the region; `waited_s` as for `decide`.

    - What the first look fails under the policy that holds now, fails; so does what the second look fails.
    - A second look that came to nothing, that another model made, that is in doubt as well, or that saw something else to
      doubt, leaves the image to people.
    - Where it is sure that there is nothing, what is around the region decides, with everything else that a pass needs.

    The quality that counts is that of the whole frame, from the first look.
    """
    rules = policy.for_camera(image.camera)
    alone = judge(rules, image, first.prepared, first.found)
    found, end = first.found, alone
    if alone.verdict is not Verdict.FAIL:
        if isinstance(finding, Inspected):
            found = merged(rules, first, finding)
            end = judge(rules, image, first.prepared, found)
        end = _together(rules, first, finding, found, end)
    looks = _first(first, alone), _second(rules, first, prepared, finding)
    alerts = alerts_about(rules.alerts, image, timed(rules, image, end, waited_s))
    return Outcome(
        end.state,
        end.verdict,
        end.reasons[0],
        end.detail,
        policy.version,
        alerts,
        looks,
        found,
        max(end.weight, alone.weight),
    )


def merged(rules: Rules, first: FirstLook, found: Inspected) -> Inspected:
    """The first look's detections, but in the region what the second look found of the classes that may count against
    an image.

    What never counts (a carton, a label) is larger than the region as often as not, and stays as the whole frame shows
    it. Boxes belong to the region by their centres. Labels go with their detections, those of the whole frame are the
    first look's. A model of the chain has answered when it did in both looks, or in the first where that is all it names.
    """
    inside = _inside(first.region, first.found.detections.xyxy)
    kept = [n for n, name in enumerate(first.found.classes) if not (inside[n] and _counts(rules, name))]
    added = [n for n, name in enumerate(found.classes) if _counts(rules, name)]
    parts = [(first.found, kept), (found, added)]
    confidence = np.concatenate([one.detections.confidence[chosen] for one, chosen in parts])
    order = np.argsort(-confidence, kind="stable")
    place = {int(old): new for new, old in enumerate(order)}
    labels = [label for label in first.found.labels if label.detection is None]
    start = 0
    for one, chosen in parts:
        labels += _moved(one.labels, {old: place[start + n] for n, old in enumerate(chosen)})
        start += len(chosen)
    names = [one.classes[n] for one, chosen in parts for n in chosen]
    whole = {link.model for link in rules.chain if link.of is None}
    return replace(
        first.found,
        detections=Detections(
            np.concatenate([one.detections.xyxy[chosen] for one, chosen in parts])[order],
            confidence[order],
            np.concatenate([one.detections.class_id[chosen] for one, chosen in parts])[order],
        ),
        classes=tuple(names[n] for n in order),
        labels=tuple(labels),
        chained=tuple(model for model in first.found.chained if model in {*found.chained, *whole}),
    )


def _counts(rules: Rules, name: str) -> bool:
    limits = rules.thresholds(name)
    return limits.review is not None or limits.fail is not None


def _inside(region: Region, xyxy: NDArray[np.float32]) -> NDArray[np.bool_]:
    middle = (xyxy[:, :2] + xyxy[:, 2:]) / 2
    x1, y1, x2, y2 = region.xyxy
    return np.asarray(((middle >= (x1, y1)) & (middle <= (x2, y2))).all(axis=1), np.bool_)


def _moved(labels: Sequence[Label], places: dict[int, int]) -> list[Label]:
    """Those of the detections that are still there, at their new places."""
    return [
        replace(label, detection=places[label.detection])
        for label in labels
        if label.detection is not None and label.detection in places
    ]


def _together(rules: Rules, first: FirstLook, finding: Finding, found: Inspected, end: Occurrence) -> Occurrence:
    """`end` is what the merged detections, `found`, would come to by themselves."""
    if end.verdict is Verdict.FAIL:
        return replace(end, detail=f"{end.detail}, in a second look")
    before = defects(rules, first.found)[1]
    doubt = _doubt(rules, first, finding, before, defects(rules, found)[1])
    if doubt is not None:
        reason, text = doubt
        others = [other for other in end.reasons if other not in (UNCERTAIN, "clear")]
        rest = [] if end.verdict is Verdict.PASS else [end.detail]
        detail = "; ".join([text, *rest])
        return replace(end, verdict=Verdict.REVIEW, reasons=(reason, UNCERTAIN, *others), detail=detail)
    if end.verdict is Verdict.PASS and before:
        return replace(end, detail=f"{end.detail}: {_texts(before)} was not there in a second look")
    return end


def _doubt(
    rules: Rules, first: FirstLook, finding: Finding, before: Sequence[Defect], now: Sequence[Defect]
) -> tuple[str, str] | None:
    """Why two looks without a clear defect need a person; None: the second one cleared it.

    `before`: what is doubtful in the first look, `now`: in both together.
    """
    if not isinstance(finding, Inspected):
        return LOOK_FAILED, f"a second look came to nothing ({finding.reason}): {finding.detail}"
    if (finding.model, finding.model_sha256) != (first.found.model, first.found.model_sha256):
        return LOOKS_DISAGREE, f"the first look was that of {first.found.model}, the second that of {finding.model}"
    if now:
        if Counter(name for _, name, _ in before) == Counter(name for _, name, _ in now):
            return LOOK_UNCERTAIN, "a second look is in doubt as well"
        return LOOKS_DISAGREE, f"two looks disagree: {_texts(before)} in the first, {_texts(now)} in both together"
    doubted = {name for _, name, _ in before}
    clear = (rules.second_look or SecondLook()).clear_below
    if clear is None:
        return LOOK_UNCERTAIN, "a second look saw no more, which clears nothing by this policy"
    for name, confidence in zip(finding.classes, finding.detections.confidence.tolist(), strict=True):
        if name in doubted and confidence >= clear:
            return LOOK_UNCERTAIN, f"a second look still sees {name} at {confidence:.2f} (clear below {clear:.2f})"
    return None


def _texts(doubts: Sequence[Defect]) -> str:
    return ", ".join(text for _, _, text in doubts) or "nothing"


def _first(first: FirstLook, alone: Occurrence) -> Look:
    return _look(None, first.prepared, alone.detail, first.found)


def _second(rules: Rules, first: FirstLook, prepared: Prepared | None, finding: Finding) -> Look:
    if not isinstance(finding, Inspected):
        return _look(first.region, prepared, f"{finding.reason}: {finding.detail}", None)
    failing, doubtful = defects(rules, finding)
    said = _texts([*failing, *doubtful]) if failing or doubtful else "nothing above its threshold"
    return _look(first.region, prepared, said, finding)


def _look(region: Region | None, prepared: Prepared | None, said: str, found: Inspected | None) -> Look:
    zoom = None if prepared is None else zoom_of(prepared.letterbox)
    place = None if region is None else region.xyxy
    if found is None:
        return Look(place, zoom, said)
    pairs = zip(found.classes, found.detections, strict=True)
    seen = tuple((name, confidence, box) for name, (_, confidence, box) in pairs)
    return Look(place, zoom, said, found.model, found.model_sha256, found.engine, seen)
