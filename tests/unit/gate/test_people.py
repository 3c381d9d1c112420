"""A person's fail is told as the facility's policy says."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from framegate.adapters.memory import FakeClock, MemoryStore
from framegate.gate.people import AlertsOfPeople
from framegate.kernel.inspection import Alert
from framegate.kernel.reviews import Choice, Decision, Redrawn
from framegate.kernel.states import Verdict
from framegate.ports.reviews import DecidedFilter, DecidedImage
from tests.contracts.examples import CAMERA, FACILITY, accept, decide, outcome
from tests.support.policies import DOCUMENT

FAIL = Decision(Choice.FAIL, "hole")


class Site:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore(self.clock)
        self.alerts = AlertsOfPeople(self.store.policies, self.clock)

    def apply(self, alerts: Mapping[str, Any], **more: Any) -> None:
        self.store.policies.add_policy(FACILITY, {**DOCUMENT, "alerts": alerts, **more}, "lead")

    def told(self, decision: Decision = FAIL, **image: Any) -> list[Alert]:
        return list(self.alerts.rules()(self.failed(decision, **image)))

    def failed(self, decision: Decision, **facts: Any) -> DecidedImage:
        image = accept(self.store.intake, **facts)
        decide(self.store.progress, image, outcome(Verdict.REVIEW))
        here = frozenset({FACILITY})
        self.store.reviews.decide(here, image.image_id, 1, image.sha256, decision, "Ann", timedelta(0))
        return self.store.reviews.decided(DecidedFilter(FACILITY), 1)[0]


@pytest.fixture
def site() -> Site:
    return Site()


def test_without_a_word_in_the_policy_every_fail_is_critical_and_of_its_camera(site: Site) -> None:
    assert site.told() == [Alert("damage", "critical", "camera/dock-7", "dock-7 saw hole, as Ann decided")]
    site.apply({})
    site.clock.advance(10)
    assert [alert.rule for alert in site.told()] == ["damage"]


def test_severity_window_escalation_and_group_are_the_rules(site: Site) -> None:
    rule = {"when": ["fail"], "severity": "warning", "group_by": ["class"], "window": "10m", "escalate_after": "never"}
    site.apply({"damage": rule})
    (alert,) = site.told()
    assert (alert.severity, alert.subject, alert.window_s, alert.escalate_after_s) == (
        "warning",
        "class/hole",
        600,
        None,
    )


def test_a_rule_for_certain_classes_hears_of_those_that_were_named_or_drawn(site: Site) -> None:
    site.apply({"damage": False, "tears": {"when": ["fail"], "classes": ["tear"]}})
    assert site.told() == []
    drawn = (Redrawn("tear", (1.0, 1.0, 9.0, 9.0)),)
    assert [alert.rule for alert in site.told(replace(FAIL, boxes=drawn))] == ["tears"]


def test_a_camera_has_the_rules_that_it_has_for_the_gate(site: Site) -> None:
    site.apply({}, cameras={str(CAMERA): {"alerts": {"damage": False}}})
    assert site.told() == []
    assert [alert.rule for alert in site.told(camera="dock-8")] == ["damage"]


def test_alerts_are_grouped_by_what_the_sender_said_of_the_image(site: Site) -> None:
    site.apply({"damage": {"when": ["fail"], "group_by": ["metadata.pallet"]}})
    (alert,) = site.told(metadata={"pallet": "4711"})
    assert alert.subject == "metadata.pallet/4711"


def test_a_new_policy_holds_within_seconds_and_one_that_cannot_be_read_silences_nobody(site: Site) -> None:
    site.apply({"damage": False})
    assert site.told() == []
    site.store.policies.add_policy(FACILITY, {"schema": 2}, "a newer release")
    assert site.told() == []
    site.clock.advance(6)
    assert [alert.rule for alert in site.told()] == ["damage"]
