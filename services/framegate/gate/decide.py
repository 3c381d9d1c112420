"""From what was found to an outcome; pure, so that a decision can be repeated months later."""

from typing import assert_never

from framegate.gate.policy import Policy, Rules
from framegate.kernel.chain import UNAVAILABLE
from framegate.kernel.inspection import Alert, Failed, Finding, ImageFacts, Inspected, Outcome, Prepared, Refused
from framegate.kernel.states import CameraStatus, ImageState, Verdict


def decide(policy: Policy, image: ImageFacts, prepared: Prepared | None, finding: Finding) -> Outcome:
    """A pass needs everything in order; a fail needs one clear defect; all else is for people."""
    match finding:
        case Refused(reason, detail):
            return Outcome(ImageState.REJECTED, None, reason, detail, policy.version)
        case Failed(reason, detail):
            alert = Alert(
                "operations", "critical", f"pipeline/{reason}", f"An image of {image.camera} failed: {detail}"
            )
            return Outcome(ImageState.FAILED, None, reason, detail, policy.version, (alert,))
        case Inspected():
            return _verdict(policy, image, prepared, finding)
        case _:
            assert_never(finding)


def _verdict(policy: Policy, image: ImageFacts, prepared: Prepared | None, found: Inspected) -> Outcome:
    rules = policy.for_camera(image.camera)
    failing, doubtful = _defects(rules, found)
    if failing:
        detail = f"{failing[0]} and {len(failing) - 1} more" if len(failing) > 1 else failing[0]
        alert = Alert("damage", "critical", f"camera/{image.camera}", f"{image.camera} saw {detail}")
        return Outcome(ImageState.DECIDED, Verdict.FAIL, "damage", detail, policy.version, (alert,))
    reasons = [("uncertain", text) for text in doubtful] + _reservations(rules, image, prepared, found)
    if reasons:
        detail = "; ".join(text for _, text in reasons)
        return Outcome(ImageState.DECIDED, Verdict.REVIEW, reasons[0][0], detail, policy.version)
    return Outcome(ImageState.DECIDED, Verdict.PASS, "clear", "nothing above its threshold", policy.version)


def _defects(rules: Rules, found: Inspected) -> tuple[list[str], list[str]]:
    """(what fails the image, what is doubtful), the most confident first."""
    failing, doubtful = [], []
    for name, confidence in zip(found.classes, found.detections.confidence.tolist(), strict=True):
        limits = rules.thresholds(name)
        if limits.fail is not None and confidence >= limits.fail:
            failing.append(f"{name} at {confidence:.2f} (fails from {limits.fail:.2f})")
        elif limits.review is not None and confidence >= limits.review:
            doubtful.append(f"{name} at {confidence:.2f} (review from {limits.review:.2f})")
    return failing, doubtful


def _reservations(
    rules: Rules, image: ImageFacts, prepared: Prepared | None, found: Inspected
) -> list[tuple[str, str]]:
    reasons = []
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
        reasons.append((UNAVAILABLE, f"{', '.join(silent)} could not name what is in the picture"))
    return reasons
