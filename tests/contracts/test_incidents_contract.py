"""Incidents: alerts about the same thing are one, and people hear of its changes only."""

import json
from dataclasses import replace

import pytest

from framegate.kernel.ids import CameraId, FacilityId
from framegate.kernel.incidents import CROWD, LONGEST_SUBJECT, MOST_SUBJECTS, Change, Incident, IncidentState
from framegate.kernel.inspection import Alert
from framegate.kernel.states import Stage, Verdict
from framegate.ports.deliveries import DeliveryState, Settlement
from framegate.ports.notices import Announcer

from .examples import FACILITY, OTHER_FACILITY, accept, advance_to, complete, must_claim, outcome
from .harness import Harness
from .hooks import DELIVERED, REFUSED, claimed, subscribed

announce = Announcer("https://inspect.example", b"pepper")
HERE = frozenset({FACILITY})
EVERY = frozenset(IncidentState)
PALLET = Alert("damage", "warning", "pallet/7", "dock-1 saw a torn carton", window_s=1800, escalate_after_s=900)
WORSE = replace(PALLET, severity="critical", summary="dock-1 saw a crushed carton")


def raised(harness: Harness, *alerts: Alert, facility: FacilityId = FACILITY) -> list[Change]:
    for alert in alerts:
        harness.incidents.raise_alert(facility, alert)
    return list(harness.incidents.group(1000, announce).changes)


def only(harness: Harness) -> Incident:
    (found,) = harness.incidents.incidents(HERE, EVERY, 10)
    return found


def test_alerts_about_the_same_are_one_incident_and_one_change(harness: Harness) -> None:
    assert raised(harness, PALLET) == [Change.OPENED]
    assert raised(harness, *[PALLET] * 5) == []
    found = only(harness)
    assert (found.images, found.state, found.severity) == (6, IncidentState.OPEN, "warning")
    assert (found.rule, found.subject, found.summary) == ("damage", "pallet/7", PALLET.summary)
    assert found.last_at >= found.opened_at


def test_an_alert_of_an_outcome_names_its_image(harness: Harness) -> None:
    images = [accept(harness.intake) for _ in range(2)]
    for image in images:
        advance_to(harness.progress, image, Stage.GATE)
        held = must_claim(harness.progress, Stage.GATE, image)
        assert complete(harness.progress, held, outcome(Verdict.FAIL, 1, PALLET))
    assert harness.incidents.group(1, announce).alerts == 1
    assert harness.incidents.group(10, announce).alerts == 1
    found = only(harness)
    assert {found.first_image, found.last_image} == {image.image_id for image in images}
    assert (found.images, found.window_s, found.escalate_after_s) == (2, 1800, 900)


def test_a_subject_longer_than_any_key_holds_up_no_other_and_stays_apart(harness: Harness) -> None:
    # No repetition: Postgres compresses what it puts into an index.
    long = "".join(chr(0x4E00 + n * 7919 % 20_000) for n in range(1_500))
    alerts = [replace(PALLET, subject=subject) for subject in (f"{long}1", f"{long}2", f"{long}1", "pallet/7")]
    assert raised(harness, *alerts) == [Change.OPENED] * 3
    found = harness.incidents.incidents(HERE, EVERY, 10)
    assert sorted(incident.images for incident in found) == [1, 1, 2]
    assert all(len(incident.subject.encode()) <= LONGEST_SUBJECT for incident in found)


@pytest.mark.parametrize("strange", ["\0", "\ud800"])
def test_what_no_database_can_hold_is_told_all_the_same(harness: Harness, strange: str) -> None:
    alert = replace(PALLET, subject=f"pallet/{strange}7", summary=f"{strange}A torn carton.")
    assert raised(harness, alert, alert) == [Change.OPENED]
    assert only(harness).summary.endswith("A torn carton.")


@pytest.mark.parametrize("other", [replace(PALLET, subject="pallet/8"), replace(PALLET, rule="operations")])
def test_another_subject_or_rule_is_another_incident(harness: Harness, other: Alert) -> None:
    assert raised(harness, PALLET, other) == [Change.OPENED, Change.OPENED]


def test_another_facility_is_another_incident_that_only_it_sees(harness: Harness) -> None:
    raised(harness, PALLET)
    raised(harness, PALLET, facility=OTHER_FACILITY)
    (there,) = harness.incidents.incidents(frozenset({OTHER_FACILITY}), EVERY, 10)
    assert only(harness).incident_id != there.incident_id
    assert {FACILITY, OTHER_FACILITY} <= harness.incidents.facilities()
    assert harness.incidents.incident(HERE, there.incident_id) is None
    assert harness.incidents.acknowledge(HERE, there.incident_id, "lead", announce) is None
    assert harness.incidents.resolve(HERE, there.incident_id, "lead", announce) is None


def test_a_facility_is_there_before_anything_happened_in_it(harness: Harness) -> None:
    harness.cameras.confirm_camera(OTHER_FACILITY, CameraId("dock-1"), "lead")
    assert OTHER_FACILITY in harness.incidents.facilities()


def test_what_gets_worse_is_told_once_more_and_what_gets_better_is_not(harness: Harness) -> None:
    assert raised(harness, PALLET, WORSE, WORSE, PALLET) == [Change.OPENED, Change.RAISED]
    assert (only(harness).severity, only(harness).summary) == ("critical", WORSE.summary)


def test_an_incident_that_nobody_acknowledges_escalates_once_and_is_critical_then(harness: Harness) -> None:
    raised(harness, PALLET)
    harness.advance(899)
    assert list(harness.incidents.tend(100, announce)) == []
    harness.advance(2)
    assert list(harness.incidents.tend(100, announce)) == [Change.ESCALATED]
    assert list(harness.incidents.tend(100, announce)) == []
    assert only(harness).severity == "critical"


def test_an_acknowledged_incident_does_not_escalate(harness: Harness) -> None:
    raised(harness, PALLET)
    done = harness.incidents.acknowledge(HERE, only(harness).incident_id, "lead", announce)
    assert done is not None
    assert (done.state, done.acknowledged_by) == (IncidentState.ACKNOWLEDGED, "lead")
    harness.advance(1000)
    assert list(harness.incidents.tend(100, announce)) == []
    assert raised(harness, PALLET) == []
    assert "incident.acknowledged" in [entry.action for entry in harness.audit()]


def test_one_without_escalation_only_ends(harness: Harness) -> None:
    raised(harness, replace(PALLET, escalate_after_s=None))
    harness.advance(1700)
    assert list(harness.incidents.tend(100, announce)) == []
    harness.advance(101)
    assert list(harness.incidents.tend(100, announce)) == [Change.RESOLVED]


def test_a_quiet_incident_resolves_by_itself_and_the_next_alert_opens_another(harness: Harness) -> None:
    raised(harness, PALLET)
    harness.advance(1000)
    raised(harness, PALLET)
    harness.advance(1000)
    assert Change.RESOLVED not in harness.incidents.tend(100, announce)
    harness.advance(900)
    assert list(harness.incidents.tend(100, announce)) == [Change.RESOLVED]
    assert (only(harness).resolved_by, only(harness).images) == ("framegate", 2)
    assert raised(harness, PALLET) == [Change.OPENED]


def test_what_was_over_before_the_alert_came_is_over_though_nobody_had_looked(harness: Harness) -> None:
    raised(harness, PALLET)
    harness.advance(1801)
    assert raised(harness, PALLET) == [Change.RESOLVED, Change.OPENED]
    newest, oldest = harness.incidents.incidents(HERE, EVERY, 10)
    assert (newest.state, oldest.state) == (IncidentState.OPEN, IncidentState.RESOLVED)


def test_what_says_that_all_is_over_ends_the_incident_and_is_not_counted(harness: Harness) -> None:
    over = replace(PALLET, over=True)
    assert raised(harness, over) == []
    assert raised(harness, PALLET, PALLET, over, over) == [Change.OPENED, Change.RESOLVED]
    assert (only(harness).state, only(harness).images) == (IncidentState.RESOLVED, 2)
    assert [check.name for check in harness.upkeep.check_invariants() if check.violations] == []


def test_a_flood_of_subjects_is_one_incident_more_and_not_a_message_for_each(harness: Harness) -> None:
    changes: list[Change] = []
    for start in range(0, MOST_SUBJECTS + 100, 100):
        changes += raised(harness, *[replace(PALLET, subject=f"image/{start + n}") for n in range(100)])
    assert changes == [Change.OPENED] * (MOST_SUBJECTS + 1)
    images = {incident.subject: incident.images for incident in harness.incidents.incidents(HERE, EVERY, 1000)}
    assert (images.pop(CROWD), len(images), set(images.values())) == (100, MOST_SUBJECTS, {1})
    assert raised(harness, replace(PALLET, subject="image/7"), replace(PALLET, rule="other")) == [Change.OPENED]
    seventh = next(i for i in harness.incidents.incidents(HERE, EVERY, 1000) if i.subject == "image/7")
    assert seventh.images == 2, "those that go on take theirs as ever"
    harness.incidents.resolve(HERE, seventh.incident_id, "lead", announce)
    assert raised(harness, replace(PALLET, subject="image/new")) == [Change.OPENED]
    assert [check.name for check in harness.upkeep.check_invariants() if check.violations] == []


def test_a_person_resolves_it_once(harness: Harness) -> None:
    raised(harness, PALLET)
    incident_id = only(harness).incident_id
    for _ in range(2):
        done = harness.incidents.resolve(HERE, incident_id, "lead", announce)
        assert done is not None
        assert (done.state, done.resolved_by) == (IncidentState.RESOLVED, "lead")
    again = harness.incidents.acknowledge(HERE, incident_id, "late", announce)
    assert again == done
    assert [e.change for e in harness.incidents.events(incident_id)] == [Change.OPENED, Change.RESOLVED]


def test_every_change_is_an_event_with_its_payload_and_actor(harness: Harness) -> None:
    raised(harness, PALLET)
    harness.incidents.acknowledge(HERE, only(harness).incident_id, "lead", announce)
    opened, acknowledged = harness.incidents.events(only(harness).incident_id)
    assert (opened.change, opened.actor) == (Change.OPENED, "framegate")
    assert (acknowledged.change, acknowledged.actor) == (Change.ACKNOWLEDGED, "lead")
    told = json.loads(opened.payload)
    assert told["type"] == "incident.opened"
    assert told["data"]["incident"]["id"] == str(only(harness).incident_id)
    assert opened.message_id != acknowledged.message_id


def test_the_newest_incidents_come_first_and_states_are_filtered(harness: Harness) -> None:
    for n in range(3):
        raised(harness, replace(PALLET, subject=f"pallet/{n}"))
        harness.advance(1)
    shown = harness.incidents.incidents(HERE, EVERY, 2)
    assert [incident.subject for incident in shown] == ["pallet/2", "pallet/1"]
    harness.incidents.resolve(HERE, shown[0].incident_id, "lead", announce)
    open_now = harness.incidents.incidents(HERE, frozenset({IncidentState.OPEN}), 10)
    assert [incident.subject for incident in open_now] == ["pallet/1", "pallet/0"]


def test_a_stuck_pallet_is_one_incident_and_at_most_three_notices(harness: Harness) -> None:
    endpoint = subscribed(harness)
    minutes, images = 10, 1000 if harness.name == "memory" else 50
    changes: list[Change] = []
    for _ in range(minutes):
        for _ in range(images):
            harness.incidents.raise_alert(FACILITY, replace(PALLET, escalate_after_s=300))
        while (done := harness.incidents.group(500, announce)).alerts:
            changes += done.changes
        changes += harness.incidents.tend(100, announce)
        harness.advance(60)
    harness.advance(1800)
    changes += harness.incidents.tend(100, announce)
    assert changes == [Change.OPENED, Change.ESCALATED, Change.RESOLVED]
    assert only(harness).images == minutes * images
    assert len(harness.deliveries.deliveries(endpoint.endpoint_id, 100)) == 3


def test_a_change_is_due_for_every_endpoint_that_wants_it_and_no_other(harness: Harness) -> None:
    wants_all = subscribed(harness)
    wants_ends = subscribed(harness, changes=frozenset({"incident.resolved"}))
    wants_critical = subscribed(harness, min_severity="critical")
    subscribed(harness, facility=OTHER_FACILITY)
    subscribed(harness, enabled=False, reason="by hand")
    raised(harness, PALLET)
    first = claimed(harness)
    assert [d.subscription.endpoint_id for d in first] == [wants_all.endpoint_id]
    assert first[0].message.payload == harness.incidents.events(only(harness).incident_id)[0].payload
    raised(harness, WORSE)
    assert {d.subscription.endpoint_id for d in claimed(harness)} == {wants_all.endpoint_id, wants_critical.endpoint_id}
    harness.incidents.resolve(HERE, only(harness).incident_id, "lead", announce)
    told = {d.subscription.endpoint_id for d in claimed(harness)}
    assert told == {wants_all.endpoint_id, wants_ends.endpoint_id, wants_critical.endpoint_id}


def test_an_image_tells_what_it_raised_and_which_incident_took_it(harness: Harness) -> None:
    image, same, other = (accept(harness.intake) for _ in range(3))
    for one, alerts in ((image, [PALLET, replace(PALLET, rule="operations")]), (same, [PALLET]), (other, [])):
        advance_to(harness.progress, one, Stage.GATE)
        held = must_claim(harness.progress, Stage.GATE, one)
        assert complete(harness.progress, held, outcome(Verdict.FAIL, 1, *alerts))
    found = harness.incidents.alerts_of(FACILITY, image.image_id)
    assert {(raised.alert.rule, raised.image_id, incident) for raised, incident in found} == {
        ("damage", image.image_id, None),
        ("operations", image.image_id, None),
    }
    harness.incidents.group(10, announce)
    incidents = {one.rule: one.incident_id for one in harness.incidents.incidents(HERE, EVERY, 10)}
    found = harness.incidents.alerts_of(FACILITY, image.image_id)
    assert {raised.alert.rule: incident for raised, incident in found} == incidents
    assert [incident for _, incident in harness.incidents.alerts_of(FACILITY, same.image_id)] == [incidents["damage"]]
    assert harness.incidents.alerts_of(OTHER_FACILITY, image.image_id) == []
    assert harness.incidents.alerts_of(FACILITY, other.image_id) == []


def test_who_is_told_because_of_an_image_is_known_with_every_attempt_and_in_its_trace(harness: Harness) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    endpoint = subscribed(harness, target="https://hooks.example/in?token=secret")
    image, later = accept(harness.intake, trace=trace), accept(harness.intake)
    for one in (image, later):
        advance_to(harness.progress, one, Stage.GATE)
        held = must_claim(harness.progress, Stage.GATE, one)
        assert complete(harness.progress, held, outcome(Verdict.FAIL, 1, PALLET))
    harness.incidents.group(10, announce)
    (delivery,) = claimed(harness)
    assert delivery.message.trace == trace
    assert harness.deliveries.settle(delivery, REFUSED, Settlement(DeliveryState.PENDING, 0.0))
    (again,) = claimed(harness)
    assert harness.deliveries.settle(again, DELIVERED, Settlement(DeliveryState.DELIVERED))
    (told,) = harness.deliveries.about(FACILITY, image.image_id)
    assert (told.record.endpoint_id, told.record.state) == (endpoint.endpoint_id, DeliveryState.DELIVERED)
    assert told.shown_target == "https://hooks.example/in?..."
    assert [(line.attempt, line.result.status) for line in told.attempts] == [(1, 500), (2, 200)]
    assert harness.deliveries.about(OTHER_FACILITY, image.image_id) == []
    assert harness.deliveries.about(FACILITY, later.image_id) == [], "its alert changed nothing that people hear of"


def test_what_people_and_time_do_to_an_incident_is_in_no_trace(harness: Harness) -> None:
    subscribed(harness)
    raised(harness, PALLET)
    assert [delivery.message.trace for delivery in claimed(harness)] == [""]
