"""Which images people are told about, and under which heading."""

from dataclasses import replace
from typing import Any

import pytest

from framegate.gate.decide import decide
from framegate.gate.policy import Policy
from framegate.kernel.ids import CameraId
from framegate.kernel.inspection import Alert, Failed, Finding, Label, Refused
from framegate.kernel.states import CameraStatus, Lane, Verdict
from tests.support.values import inspected, prepared
from tests.unit.gate.test_decide import DOCUMENT, IMAGE

PALLET = replace(IMAGE, metadata={"pallet": "P-118", "meta.shift": "night"})
FAILS, REVIEW, PASSES = inspected(carton=0.9, hole=0.5), inspected(carton=0.9, hole=0.3), inspected(carton=0.9)


def alerts(rules: dict[str, Any], finding: Finding = FAILS, image: Any = PALLET, *flags: str) -> list[Alert]:
    document = {**DOCUMENT, "alerts": {"damage": False, "operations": False, **rules}}
    return list(decide(Policy.parse(1, document), image, prepared(*flags), finding).alerts)


def subjects(finding: Finding, *group_by: str, image: Any = PALLET, **rule: Any) -> list[str]:
    return [
        one.subject
        for one in alerts({"a": {"when": ["fail", "failed"], "group_by": [*group_by], **rule}}, finding, image)
    ]


def test_without_a_word_about_alerts_damage_and_failures_are_told_as_ever() -> None:
    policy = Policy.parse(1, DOCUMENT)
    assert decide(policy, IMAGE, prepared(), FAILS).alerts == (
        Alert("damage", "critical", "camera/dock-1", "dock-1 saw hole at 0.50 (fails from 0.50)", 1800.0, 900.0),
    )
    assert decide(policy, IMAGE, None, Failed("poison", "it kills")).alerts == (
        Alert("operations", "critical", "pipeline/poison", "An image of dock-1 failed: it kills", 1800.0, 900.0),
    )
    for finding in (REVIEW, PASSES, Refused("truncated", "it ends early")):
        assert decide(policy, IMAGE, prepared(), finding).alerts == ()


def test_an_image_that_took_longer_than_its_lane_may_is_told_and_keeps_its_verdict() -> None:
    policy = Policy.parse(1, {**DOCUMENT, "deadlines": {"live": "30s", "bulk": "never"}})
    bulk = replace(IMAGE, lane=Lane.BULK)
    assert decide(policy, IMAGE, prepared(), PASSES, 30.0).alerts == ()
    assert decide(policy, bulk, prepared(), PASSES, 1e6).alerts == ()
    assert decide(Policy.parse(1, DOCUMENT), IMAGE, prepared(), PASSES, 1e6).alerts == ()
    late = decide(policy, IMAGE, prepared(), PASSES, 75.26)
    assert late.verdict is Verdict.PASS
    said = "An image of dock-1 was decided after 75.3 s; the deadline of live is 30 s"
    assert late.alerts == (Alert("late", "warning", f"facility/{IMAGE.facility}", said, 1800.0, 900.0),)
    failed = decide(policy, IMAGE, prepared(), FAILS, 75.26).alerts
    assert [(one.rule, one.summary.startswith("dock-1 saw")) for one in failed] == [("damage", True), ("late", False)]


def test_rules_that_are_not_named_stay_and_false_takes_one_away() -> None:
    document = {**DOCUMENT, "alerts": {"damage": False, "doubt": {"when": ["review"]}}}
    policy = Policy.parse(1, document)
    assert decide(policy, IMAGE, prepared(), FAILS).alerts == ()
    assert [one.rule for one in decide(policy, IMAGE, prepared(), REVIEW).alerts] == ["doubt"]
    assert [one.rule for one in decide(policy, IMAGE, None, Failed("poison", "it kills")).alerts] == ["operations"]


@pytest.mark.parametrize(
    ("when", "finding", "flags"),
    [
        ("pass", PASSES, ()),
        ("review", REVIEW, ()),
        ("uncertain", REVIEW, ()),
        ("quality", REVIEW, ("blurred",)),
        ("subject-missing", inspected(hole=0.1), ()),
        ("rejected", Refused("truncated", "it ends early"), ()),
        ("failed", Failed("poison", "it kills"), ()),
        ("poison", Failed("poison", "it kills"), ()),
    ],
)
def test_every_verdict_state_and_reason_can_be_told(when: str, finding: Finding, flags: tuple[str, ...]) -> None:
    assert len(alerts({"a": {"when": [when]}}, finding, PALLET, *flags)) == 1
    assert alerts({"a": {"when": ["camera-unconfirmed"]}}, finding, PALLET, *flags) == []
    unconfirmed = replace(PALLET, camera_status=CameraStatus.UNCONFIRMED)
    told = alerts({"a": {"when": ["camera-unconfirmed"]}}, finding, unconfirmed, *flags)
    assert len(told) == (not isinstance(finding, Refused | Failed))


def test_an_image_raises_at_most_one_alert_of_each_rule() -> None:
    raised = alerts({"a": {"when": ["fail", "damage"]}, "b": {"when": ["fail"]}, "c": {"when": ["pass"]}})
    assert [one.rule for one in raised] == ["a", "b"]


def test_a_rule_may_be_about_some_classes_only_and_they_must_count() -> None:
    assert subjects(FAILS, "class", classes=["hole", "tear"]) == ["class/hole"]
    assert subjects(FAILS, "class", classes=["tear"]) == []
    # The carton is there, but no threshold makes it count.
    assert subjects(FAILS, "class", classes=["carton"]) == []


def test_a_name_that_a_classifier_gave_counts_when_it_is_sure() -> None:
    sure = replace(FAILS, labels=(Label(0, "wear@1", "crushed", 0.75),))
    unsure = replace(FAILS, labels=(Label(0, "wear@1", "crushed", 0.25),))
    assert subjects(sure, "class", classes=["crushed"]) == ["class/crushed"]
    assert subjects(unsure, "class", classes=["crushed"]) == []


@pytest.mark.parametrize(
    ("group_by", "subject"),
    [
        (["facility"], "facility/main"),
        (["camera"], "camera/dock-1"),
        (["class"], "class/hole"),
        (["reason"], "reason/damage"),
        (["metadata.pallet"], "metadata.pallet/P-118"),
        (["metadata.meta.shift", "class"], "metadata.meta.shift/night class/hole"),
        (["metadata.shipment"], "camera/dock-1"),
        (["metadata.shipment", "camera"], "camera/dock-1"),
        (["metadata.shipment", "class"], "camera/dock-1 class/hole"),
    ],
)
def test_alerts_are_grouped_by_what_the_rule_says_and_by_camera_where_that_is_missing(
    group_by: list[str], subject: str
) -> None:
    assert subjects(FAILS, *group_by) == [subject]


def test_a_failure_has_no_class_and_is_grouped_by_its_camera_then() -> None:
    assert subjects(Failed("poison", "it kills"), "class") == ["camera/dock-1"]
    assert subjects(Failed("poison", "it kills"), "reason") == ["pipeline/poison"]


def test_severity_window_and_escalation_are_the_rules() -> None:
    rule = {"when": ["fail"], "severity": "warning", "window": "2h", "escalate_after": "never"}
    [alert] = alerts({"a": rule})
    assert (alert.severity, alert.window_s, alert.escalate_after_s) == ("warning", 7200.0, None)


def test_a_camera_may_have_its_own_alerts_or_none_of_a_kind() -> None:
    own = {"a": False, "b": {"when": ["fail"]}}
    document = {**DOCUMENT, "alerts": {"a": {"when": ["fail"]}}, "cameras": {"dock-2": {"alerts": own}}}
    policy = Policy.parse(1, document)
    rules = [one.rule for one in decide(policy, IMAGE, prepared(), FAILS).alerts]
    assert rules == ["a", "damage"]
    there = replace(IMAGE, camera=CameraId("dock-2"))
    assert [one.rule for one in decide(policy, there, prepared(), FAILS).alerts] == ["b", "damage"]
