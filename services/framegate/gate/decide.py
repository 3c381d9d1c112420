"""From what was found to an outcome; pure, so that a decision can be repeated months later."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, assert_never

from framegate.gate.alerting import Occurrence, alerts_about
from framegate.gate.policy import Policy, Rules
from framegate.kernel.camera_health import CAMERA_FAULT
from framegate.kernel.chain import UNAVAILABLE
from framegate.kernel.inspection import Failed, Finding, ImageFacts, Inspected, Outcome, Prepared, Refused
from framegate.kernel.reviews import weigh
from framegate.kernel.states import CameraStatus, ImageState, Verdict

_UNNAMED = " could not name what is in the picture"
_FAULTY = "its camera has a fault: "
#: A doubt of which nothing more is known.
_EVEN: Final = 0.5
_SEVERITY: Final = {"critical": 3.0, "warning": 2.0}

#: What counts against an image: its place among the detections, its class, and a text for people.
Defect = tuple[int, str, str]


def decide(
    policy: Policy, image: ImageFacts, prepared: Prepared | None, finding: Finding, waited_s: float = 0.0
) -> Outcome:
    """A pass needs everything in order; a fail needs one clear defect; all else is for people.

    `waited_s`: from the recorded upload until now. It changes no verdict, but may be a reason to tell people.
    """
    rules = policy.for_camera(image.camera)
    match finding:
        case Refused(reason, detail):
            end = Occurrence(ImageState.REJECTED, None, (reason,), detail)
        case Failed(reason, detail):
            end = Occurrence(ImageState.FAILED, None, (reason,), detail)
        case Inspected():
            end = judge(rules, image, prepared, finding)
        case _:
            assert_never(finding)
    alerts = alerts_about(rules.alerts, image, timed(rules, image, end, waited_s))
    return Outcome(end.state, end.verdict, end.reasons[0], end.detail, policy.version, alerts, weight=end.weight)


def timed(rules: Rules, image: ImageFacts, end: Occurrence, waited_s: float) -> Occurrence:
    """`end`, with a word about the deadline of the image's lane where it is past."""
    deadline_s = rules.deadlines.get(image.lane)
    if deadline_s is None or waited_s <= deadline_s:
        return end
    return replace(end, late=f"was decided after {waited_s:.1f} s; the deadline of {image.lane} is {deadline_s:g} s")


def silent_models(detail: str) -> frozenset[str]:
    """The models of the chain that had no answer, from the detail of an outcome that is for people."""
    texts = [text.removesuffix(_UNNAMED) for text in detail.split("; ") if text.endswith(_UNNAMED)]
    return frozenset(model for text in texts for model in text.split(", "))


def camera_faults(detail: str) -> tuple[str, ...]:
    """What the camera suffered from, from the detail of an outcome that is for people; without what was ignored."""
    texts = [text.removeprefix(_FAULTY) for text in detail.split("; ") if text.startswith(_FAULTY)]
    return tuple(fault for text in texts for fault in text.split(", "))


def judge(rules: Rules, image: ImageFacts, prepared: Prepared | None, found: Inspected) -> Occurrence:
    """What an image that was inspected comes to."""
    failing, doubtful = defects(rules, found)
    classes = tuple(name for _, name, _ in (*failing, *doubtful))

    def end(verdict: Verdict, detail: str, *reasons: str) -> Occurrence:
        weight = doubt_of(rules, found, [n for n, _, _ in doubtful], others=len(reasons) - len(doubtful))
        return Occurrence(ImageState.DECIDED, verdict, reasons, detail, classes, found.labels, weight=weight)

    if failing:
        first = failing[0][2]
        detail = f"{first} and {len(failing) - 1} more" if len(failing) > 1 else first
        return end(Verdict.FAIL, detail, "damage")
    reasons = [("uncertain", text) for _, _, text in doubtful] + _reservations(rules, image, prepared, found)
    if reasons:
        return end(Verdict.REVIEW, "; ".join(text for _, text in reasons), *(reason for reason, _ in reasons))
    return end(Verdict.PASS, "nothing above its threshold", "clear")


def defects(rules: Rules, found: Inspected) -> tuple[list[Defect], list[Defect]]:
    """(what fails the image, what is doubtful); the most confident first."""
    failing, doubtful = [], []
    for n, (name, confidence) in enumerate(zip(found.classes, found.detections.confidence.tolist(), strict=True)):
        limits = rules.thresholds(name)
        if limits.fail is not None and confidence >= limits.fail:
            failing.append((n, name, f"{name} at {confidence:.2f} (fails from {limits.fail:.2f})"))
        elif limits.review is not None and confidence >= limits.review:
            doubtful.append((n, name, f"{name} at {confidence:.2f} (review from {limits.review:.2f})"))
    return failing, doubtful


def doubt_of(rules: Rules, found: Inspected, doubtful: Sequence[int], others: int) -> float:
    """`weigh` with one doubt for each doubtful detection, how far it is on its way from `review` to `fail`, and an even one
    for each other reason.

    The severity is that of the gravest alert that a fail of such a class raises.
    """
    doubts = [_EVEN] * max(0, others)
    for n in doubtful:
        limits, confidence = rules.thresholds(found.classes[n]), float(found.detections.confidence[n])
        if limits.review is None:
            continue
        span = (1.0 if limits.fail is None else limits.fail) - limits.review
        doubts.append((confidence - limits.review) / span if span > 0 else _EVEN)
    names = {found.classes[n] for n in doubtful}
    severities = [
        _SEVERITY[rule.severity]
        for rule in rules.alerts.values()
        if Verdict.FAIL in rule.when and (not rule.classes or rule.classes & names)
    ]
    return weigh(doubts or [_EVEN], max(severities, default=1.0))


def _reservations(
    rules: Rules, image: ImageFacts, prepared: Prepared | None, found: Inspected
) -> list[tuple[str, str]]:
    reasons = []
    faults = [fault for fault in image.camera_faults if fault not in rules.ignored_faults]
    if faults:
        reasons.append((CAMERA_FAULT, f"{_FAULTY}{', '.join(faults)}"))
    flags = sorted(rules.doubtful_quality.intersection(prepared.quality.flags)) if prepared else ["unknown"]
    if flags:
        reasons.append(("quality", f"the picture is {', '.join(flags)}"))
    seen = {
        name
        for name, confidence in zip(found.classes, found.detections.confidence.tolist(), strict=True)
        if confidence >= rules.require_confidence
    }
    if rules.require and not rules.require & seen:
        reasons.append(("subject-missing", f"none of {', '.join(sorted(rules.require))} is in the picture"))
    if image.camera_status is not CameraStatus.CONFIRMED:
        reasons.append(("camera-unconfirmed", f"nobody has confirmed the camera {image.camera} yet"))
    silent = [link.model for link in rules.chain if link.model not in found.chained]
    if silent:
        reasons.append((UNAVAILABLE, f"{', '.join(silent)}{_UNNAMED}"))
    return reasons
