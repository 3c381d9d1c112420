from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from framegate.gate.decide import camera_faults, decide, silent_models
from framegate.gate.policy import Policy
from framegate.kernel.errors import ConfigurationError
from framegate.kernel.ids import DEFAULT_FACILITY, CameraId, new_image_id
from framegate.kernel.inspection import Failed, Finding, ImageFacts, Outcome, Refused
from framegate.kernel.states import CameraStatus, ImageState, Lane, Verdict
from tests.support.values import inspected, prepared

DOCUMENT: dict[str, Any] = {
    "schema": 1,
    "classes": {"hole": {"review": 0.25, "fail": 0.5}, "carton": {"review": None, "fail": None}},
    "otherwise": {"review": 0.3, "fail": None},
    "require": ["carton"],
    "require_confidence": 0.4,
    "doubtful_quality": ["blurred"],
    "cameras": {"strict": {"classes": {"hole": {"review": 0.1, "fail": 0.2}}}},
}
IMAGE = ImageFacts(
    DEFAULT_FACILITY, new_image_id(), CameraId("dock-1"), CameraStatus.CONFIRMED, Lane.LIVE, "k", "image/jpeg", "0" * 64,
    1000, 640, 480, 1, datetime(2026, 1, 1, tzinfo=UTC),
)  # fmt: skip


def outcome(finding: Finding, image: ImageFacts = IMAGE, *flags: str) -> Outcome:
    return decide(Policy.parse(7, DOCUMENT), image, prepared(*flags), finding)


def test_a_frame_with_its_carton_and_no_defect_passes() -> None:
    result = outcome(inspected(carton=0.9, hole=0.24))
    assert (result.verdict, result.reason, result.policy_version) == (Verdict.PASS, "clear", 7)
    assert result.alerts == ()


def test_a_confident_defect_fails_and_raises_one_alert_about_its_camera() -> None:
    result = outcome(inspected(carton=0.9, hole=0.5))
    assert (result.verdict, result.reason) == (Verdict.FAIL, "damage")
    assert "hole at 0.50" in result.detail
    assert [alert.subject for alert in result.alerts] == ["camera/dock-1"]


def test_a_defect_between_the_thresholds_is_for_people() -> None:
    result = outcome(inspected(carton=0.9, hole=0.49))
    assert (result.verdict, result.reason) == (Verdict.REVIEW, "uncertain")


def test_a_class_without_thresholds_of_its_own_follows_the_others() -> None:
    assert outcome(inspected(carton=0.9, graffiti=0.31)).verdict is Verdict.REVIEW
    assert outcome(inspected(carton=0.9, graffiti=0.29)).verdict is Verdict.PASS


def test_a_camera_may_have_its_own_thresholds() -> None:
    assert outcome(inspected(carton=0.9, hole=0.2), replace(IMAGE, camera=CameraId("strict"))).verdict is Verdict.FAIL
    assert outcome(inspected(carton=0.9, hole=0.2)).verdict is Verdict.PASS


def test_a_frame_without_its_subject_never_passes() -> None:
    result = outcome(inspected(carton=0.39))
    assert (result.verdict, result.reason) == (Verdict.REVIEW, "subject-missing")


def test_a_doubtful_picture_never_passes_but_may_fail() -> None:
    assert outcome(inspected(carton=0.9), IMAGE, "blurred").reason == "quality"
    assert outcome(inspected(carton=0.9, hole=0.9), IMAGE, "blurred").verdict is Verdict.FAIL
    assert outcome(inspected(carton=0.9), IMAGE, "too-dark").verdict is Verdict.PASS  # not in this policy


def test_each_doubt_about_a_picture_can_be_ignored_or_not_and_a_camera_may_differ() -> None:
    cameras = {"dark": {"quality": {"too-dark": "ignore"}}, "old": {"doubtful_quality": ["flat"]}}
    document = {k: v for k, v in DOCUMENT.items() if k != "doubtful_quality"}
    policy = Policy.parse(7, {**document, "quality": {"blurred": "ignore"}, "cameras": cameras})
    found = {camera: policy.for_camera(camera).doubtful_quality for camera in ("dock-1", "dark", "old")}
    others = {"too-bright", "flat", "noise", "small"}
    assert found == {"dock-1": others | {"too-dark"}, "dark": others, "old": {"flat"}}
    for flag, verdict in (("blurred", Verdict.PASS), ("too-dark", Verdict.REVIEW)):
        assert decide(policy, IMAGE, prepared(flag), inspected(carton=0.9)).verdict is verdict


def suspended(*faults: str, camera: str = "dock-1", **confidences: float) -> Outcome:
    """The outcome of a picture of a camera with `faults`."""
    cameras = {"turning": {"camera_faults": {"moved": "ignore"}}, "strict": {"camera_faults": {"silent": "review"}}}
    policy = Policy.parse(7, {**DOCUMENT, "camera_faults": {"silent": "ignore"}, "cameras": cameras})
    image = replace(IMAGE, camera=CameraId(camera), camera_faults=faults)
    return decide(policy, image, prepared(), inspected(**(confidences or {"carton": 0.9})))


def test_what_a_faulty_camera_sends_never_passes_but_may_fail() -> None:
    result = suspended("dark", "moved")
    assert (result.verdict, result.reason) == (Verdict.REVIEW, "camera-fault")
    assert result.detail == "its camera has a fault: dark, moved"
    assert suspended("dark", carton=0.9, hole=0.9).verdict is Verdict.FAIL
    assert suspended().verdict is Verdict.PASS


def test_single_faults_of_a_camera_can_be_ignored_and_a_camera_may_differ() -> None:
    assert suspended("silent").verdict is Verdict.PASS
    assert suspended("silent", "dark").detail == "its camera has a fault: dark"
    assert suspended("silent", "moved", camera="turning").verdict is Verdict.PASS
    assert suspended("silent", camera="strict").reason == "camera-fault"


def test_a_fault_that_this_release_does_not_know_suspends_too() -> None:
    assert suspended("upside-down").reason == "camera-fault"


def test_the_detail_of_a_review_tells_which_faults_its_camera_had() -> None:
    assert camera_faults(suspended("dark", "moved", carton=0.9, hole=0.3).detail) == ("dark", "moved")
    assert camera_faults(suspended(hole=0.3).detail) == ()


def test_an_unconfirmed_camera_never_passes() -> None:
    stranger = replace(IMAGE, camera_status=CameraStatus.UNCONFIRMED)
    assert outcome(inspected(carton=0.9), stranger).reason == "camera-unconfirmed"
    assert outcome(inspected(carton=0.9, hole=0.9), stranger).verdict is Verdict.FAIL


CHAINED = {
    "chain": [{"model": "wear@1", "of": ["carton"]}, {"model": "scene@1"}],
    "cameras": {"plain": {"chain": []}, "strict": {"chain": [{"model": "pallet@1"}]}},
}


def chained(*models: str, camera: str = "dock-1", **confidences: float) -> Outcome:
    """The outcome of a picture in which `models` named all they had to."""
    policy = Policy.parse(7, {**DOCUMENT, **CHAINED})
    found = replace(inspected(**(confidences or {"carton": 0.9})), chained=models)
    return decide(policy, replace(IMAGE, camera=CameraId(camera)), prepared(), found)


def test_a_picture_that_its_whole_chain_has_seen_passes() -> None:
    assert chained("wear@1", "scene@1").verdict is Verdict.PASS


def test_a_model_of_the_chain_that_was_not_there_sends_the_picture_to_people_instead_of_a_pass() -> None:
    result = chained("scene@1")
    assert (result.verdict, result.reason) == (Verdict.REVIEW, "chain-unavailable")
    assert "wear@1" in result.detail
    assert "scene@1" not in result.detail


def test_the_detail_of_a_review_tells_which_models_had_no_answer() -> None:
    assert silent_models(chained("scene@1").detail) == {"wear@1"}
    assert silent_models(chained(hole=0.3).detail) == {"wear@1", "scene@1"}
    assert silent_models(chained("wear@1", "scene@1", hole=0.3).detail) == frozenset()


def test_a_defect_fails_the_picture_whatever_became_of_its_chain() -> None:
    assert chained(carton=0.9, hole=0.9).verdict is Verdict.FAIL


def test_the_reason_for_a_review_is_the_pictures_own_before_the_chains() -> None:
    result = chained(hole=0.3)
    assert (result.reason, "wear@1" in result.detail) == ("uncertain", True)


def test_a_camera_may_have_its_own_chain_or_none() -> None:
    assert chained(camera="plain").verdict is Verdict.PASS
    assert chained("wear@1", "scene@1", camera="strict").reason == "chain-unavailable"
    assert chained("pallet@1", camera="strict").verdict is Verdict.PASS


def test_an_image_at_fault_is_rejected_without_a_verdict() -> None:
    result = outcome(Refused("truncated", "the scan ends early"))
    assert (result.state, result.verdict, result.reason) == (ImageState.REJECTED, None, "truncated")
    assert result.alerts == ()


def test_a_failure_of_ours_is_told_to_operations() -> None:
    result = outcome(Failed("poison", "it killed three decoders"))
    assert (result.state, result.verdict) == (ImageState.FAILED, None)
    assert [alert.rule for alert in result.alerts] == ["operations"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 2}, "schema 2"),
        ({"classes": {"hole": {"review": 0.6, "fail": 0.5}}}, "policy.classes.hole: review"),
        ({"classes": {"hole": {"review": 1.5, "fail": None}}}, "between 0 and 1"),
        ({"otherwise": None}, "policy"),
        ({"cameras": {"dock-9": {"classes": {"hole": {"fail": -1}}}}}, "cameras.dock-9.classes.hole"),
        ({"chain": [{"model": "wear"}]}, r"policy.chain\[0\].model"),
        ({"cameras": {"dock-9": {"chain": [{"model": "wear@1", "of": 3}]}}}, r"cameras.dock-9.chain\[0\].of"),
    ],
)
def test_a_wrong_policy_is_refused_with_the_entry_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Policy.parse(1, {**DOCUMENT, **change})


def test_a_doubt_weighs_more_the_nearer_it_is_to_a_fail_and_the_more_there_are() -> None:
    weights = [
        outcome(inspected(carton=0.9, hole=0.26)).weight,
        outcome(inspected(carton=0.9, hole=0.48)).weight,
        outcome(inspected(carton=0.9, hole=0.48), IMAGE, "blurred").weight,
    ]
    assert sorted(weights) == weights
    assert len(set(weights)) == 3
    # hole at 0.48 is 0.92 of the way from 0.25 to 0.5; damage of any class is critical by default, which is 3.
    assert weights[1] == pytest.approx(0.92 * 3, abs=0.01)


def test_a_doubt_about_what_raises_no_critical_alert_weighs_less() -> None:
    def weight(alerts: dict[str, Any]) -> float:
        document = DOCUMENT | {"alerts": alerts}
        return decide(Policy.parse(7, document), IMAGE, prepared(), inspected(carton=0.9, hole=0.375)).weight

    damage: dict[str, Any] = {"when": ["fail"], "severity": "critical"}
    assert weight({"damage": damage}) == pytest.approx(0.5 * 3)
    assert weight({"damage": damage | {"severity": "warning"}}) == pytest.approx(0.5 * 2)
    assert weight({"damage": damage | {"classes": ["hole"]}}) == pytest.approx(0.5 * 3)
    assert weight({"damage": damage | {"classes": ["tear"]}}) == pytest.approx(0.5)
    assert weight({"damage": False}) == pytest.approx(0.5)


def test_an_image_without_a_doubtful_detection_is_evenly_doubtful() -> None:
    assert outcome(inspected(carton=0.9), IMAGE, "blurred").weight == pytest.approx(0.5 * 3)
