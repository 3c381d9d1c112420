"""Deliveries: each message reaches each endpoint that wants it, or its end is visible and can be undone."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import uuid4

import pytest

from framegate.kernel.inspection import Alert
from framegate.ports.deliveries import Delivery, DeliveryState, Settlement, Subscription
from framegate.ports.hooks import Ending, HookKind
from framegate.ports.notices import Announcer

from .examples import FACILITY, OTHER_FACILITY
from .harness import Harness, seconds
from .hooks import DELIVERED, LEASE, REFUSED, claimed, subscribed, subscription

announce = Announcer("https://inspect.example", b"pepper")
HERE = frozenset({FACILITY})
ARRIVED = Settlement(DeliveryState.DELIVERED)
GIVEN_UP = Settlement(DeliveryState.DEAD, reason="ten attempts failed")


def changed(harness: Harness, *subjects: str) -> None:
    """An incident opens for each."""
    for subject in subjects:
        harness.incidents.raise_alert(FACILITY, Alert("damage", "critical", subject, "dock-1 saw a torn carton"))
    harness.incidents.group(1000, announce)


def one(harness: Harness, owner: str = "one") -> Delivery:
    (delivery,) = claimed(harness, owner=owner)
    return delivery


def test_a_delivery_is_in_one_workers_hands_at_a_time(harness: Harness) -> None:
    subscribed(harness)
    changed(harness, "a")
    first = one(harness)
    assert claimed(harness, owner="two") == []
    harness.advance(LEASE.total_seconds() + 1)
    second = one(harness, "two")
    assert (second.message, second.attempts) == (first.message, 0)
    assert harness.deliveries.settle(first, REFUSED, GIVEN_UP) is False
    assert harness.deliveries.settle(second, DELIVERED, ARRIVED) is True
    assert harness.deliveries.dead(HERE, 10) == []


def test_a_successor_of_the_same_name_frees_what_was_held_at_once(harness: Harness) -> None:
    subscribed(harness)
    changed(harness, "a", "b")
    assert len(claimed(harness)) == 2
    assert harness.deliveries.recover("somebody") == 0
    assert harness.deliveries.recover("one") == 2
    assert len(claimed(harness)) == 2


def test_no_endpoint_takes_more_than_its_slots(harness: Harness) -> None:
    slow, quick = subscribed(harness), subscribed(harness)
    changed(harness, *"abcdef")
    held = claimed(harness, slots=4)
    of = [d.subscription.endpoint_id for d in held]
    assert (of.count(slow.endpoint_id), of.count(quick.endpoint_id)) == (4, 4)
    more = claimed(harness, slots=4, busy={slow.endpoint_id: 4, quick.endpoint_id: 3})
    assert [d.subscription.endpoint_id for d in more] == [quick.endpoint_id]
    assert claimed(harness, slots=4, busy={slow.endpoint_id: 5, quick.endpoint_id: 4}) == []


def test_no_more_are_claimed_than_there_is_room_for_and_those_that_wait_longest(harness: Harness) -> None:
    subscribed(harness)
    changed(harness, "a", "b")
    harness.advance(1)
    subscribed(harness)
    changed(harness, "c")
    first = claimed(harness, most=2)
    assert [d.message.title.rpartition(" ")[2] for d in first] == ["a", "b"]
    assert len(claimed(harness, most=1)) == 1
    assert len(claimed(harness)) == 1


def test_what_failed_is_due_again_after_its_delay_with_the_same_message(harness: Harness) -> None:
    subscribed(harness)
    changed(harness, "a")
    first = one(harness)
    assert harness.deliveries.settle(first, REFUSED, Settlement(DeliveryState.PENDING, delay_s=300))
    assert claimed(harness) == []
    harness.advance(299)
    assert claimed(harness) == []
    harness.advance(2)
    again = one(harness)
    assert (again.message, again.attempts) == (first.message, 1)


def test_an_endpoint_counts_its_failures_until_a_success(harness: Harness) -> None:
    endpoint = subscribed(harness)
    changed(harness, "a", "b", "c")
    bad, worse, good = claimed(harness)
    for delivery in (bad, worse):
        harness.deliveries.settle(delivery, REFUSED, Settlement(DeliveryState.PENDING, delay_s=5))
        harness.advance(1)
    failing = found(harness, endpoint)
    assert failing.failures == 2
    assert failing.failing_since is not None
    harness.deliveries.settle(good, DELIVERED, ARRIVED)
    well = found(harness, endpoint)
    assert (well.failures, well.failing_since) == (0, None)
    assert well.last_success_at is not None


def found(harness: Harness, endpoint: Subscription) -> Subscription:
    seen = harness.endpoints.endpoint(frozenset({endpoint.facility}), endpoint.endpoint_id)
    assert seen is not None
    return seen


def test_a_disabled_endpoint_gets_nothing_and_what_waited_is_dead_until_replayed(harness: Harness) -> None:
    endpoint, other = subscribed(harness), subscribed(harness)
    changed(harness, "a", "b")
    gone = replace(REFUSED, ending=Ending.GONE, status=410)
    about = Alert("operations", "warning", f"hook/{endpoint.endpoint_id}", "An endpoint was disabled.")
    mine = next(d for d in claimed(harness) if d.subscription.endpoint_id == endpoint.endpoint_id)
    ended = Settlement(DeliveryState.DEAD, reason="gone", disable="it answered 410", alert=about)
    assert harness.deliveries.settle(mine, gone, ended)
    assert (found(harness, endpoint).enabled, found(harness, endpoint).reason) == (False, "it answered 410")
    assert ["hook/" in alert.subject for alert in harness.alerts()] == [False, False, True]
    dead = harness.deliveries.dead(HERE, 10)
    assert sorted(record.reason for record in dead) == ["gone", "the endpoint was disabled"]
    assert harness.deliveries.replay(HERE) == 0
    changed(harness, "c")
    harness.advance(LEASE.total_seconds() + 1)
    assert {d.subscription.endpoint_id for d in claimed(harness)} == {other.endpoint_id}
    enabled = harness.endpoints.enable(endpoint.endpoint_id, "lead")
    assert enabled is not None
    assert (enabled.enabled, enabled.reason, enabled.failures) == (True, "", 0)
    assert harness.deliveries.replay(HERE) == 2
    assert [d.attempts for d in claimed(harness)] == [0, 0], "also what was held when the endpoint was disabled"


@pytest.mark.parametrize("strange", ["\0", "\ud800"])
def test_an_endpoint_is_disabled_whatever_its_receiver_said(harness: Harness, strange: str) -> None:
    endpoint = subscribed(harness)
    changed(harness, "a")
    why = f"the receiver answered {strange}"
    about = Alert("operations", "critical", "hook/1", why)
    ended = Settlement(DeliveryState.DEAD, reason=why, disable=why, alert=about)
    assert harness.deliveries.settle(one(harness), replace(REFUSED, detail=why), ended)
    assert not found(harness, endpoint).enabled


def test_an_endpoint_that_another_delivery_has_just_reached_is_not_given_up(harness: Harness) -> None:
    endpoint = subscribed(harness)
    changed(harness, "a", "b", "c")
    first, good, last = claimed(harness)
    harness.deliveries.settle(first, REFUSED, Settlement(DeliveryState.PENDING, delay_s=5))
    failing = found(harness, endpoint)
    late = replace(last, subscription=failing)
    harness.deliveries.settle(good, DELIVERED, ARRIVED)
    assert harness.deliveries.settle(late, REFUSED, replace(GIVEN_UP, disable="nothing has arrived for five days"))
    assert found(harness, endpoint).enabled
    harness.advance(6)
    (again,) = claimed(harness)
    assert harness.deliveries.settle(again, REFUSED, replace(GIVEN_UP, disable="nothing has arrived for five days"))
    assert not found(harness, endpoint).enabled


def test_what_is_dead_is_replayed_by_number_by_endpoint_and_by_time(harness: Harness) -> None:
    endpoint, other = subscribed(harness), subscribed(harness)
    changed(harness, "a")
    harness.advance(100)
    changed(harness, "b")
    for delivery in claimed(harness):
        harness.deliveries.settle(delivery, REFUSED, GIVEN_UP)
    dead = harness.deliveries.dead(None, 10)
    assert [record.state for record in dead] == [DeliveryState.DEAD] * 4
    newest, oldest = dead[0], dead[-1]
    assert harness.deliveries.replay(frozenset({OTHER_FACILITY})) == 0
    assert harness.deliveries.replay(HERE, delivery_id=newest.delivery_id) == 1
    assert harness.deliveries.replay(HERE, delivery_id=newest.delivery_id) == 0
    assert harness.deliveries.replay(HERE, endpoint_id=uuid4()) == 0
    middle: datetime = oldest.created_at + timedelta(seconds=50)
    assert harness.deliveries.replay(HERE, since=middle) == 1
    assert harness.deliveries.replay(HERE, until=middle, endpoint_id=endpoint.endpoint_id) == 1
    assert harness.deliveries.replay(None, endpoint_id=other.endpoint_id) == 1


def test_a_message_that_arrived_is_never_replayed(harness: Harness) -> None:
    subscribed(harness)
    changed(harness, "a")
    harness.deliveries.settle(one(harness), DELIVERED, ARRIVED)
    assert harness.deliveries.replay(None) == 0
    assert claimed(harness) == []


def test_the_log_keeps_every_attempt_also_of_a_claim_that_was_lost(harness: Harness) -> None:
    endpoint = subscribed(harness)
    changed(harness, "a")
    lost = one(harness)
    harness.advance(LEASE.total_seconds() + 1)
    held = one(harness, "two")
    harness.deliveries.settle(held, REFUSED, Settlement(DeliveryState.PENDING, delay_s=5))
    harness.deliveries.settle(lost, DELIVERED, ARRIVED)
    newest, oldest = harness.deliveries.log(endpoint.endpoint_id, 10)
    assert (newest.result, oldest.result) == (DELIVERED, REFUSED)
    assert newest.worker == "one"
    assert (oldest.worker, oldest.attempt, oldest.delivery_id) == ("two", 1, held.delivery_id)
    assert len(harness.deliveries.log(endpoint.endpoint_id, 1)) == 1
    (record,) = harness.deliveries.deliveries(endpoint.endpoint_id, 10)
    assert (record.state, record.attempts, record.type) == (DeliveryState.PENDING, 1, "incident.opened")
    assert record.due_at is not None


def test_what_is_due_is_counted_with_its_age(harness: Harness) -> None:
    subscribed(harness)
    assert harness.deliveries.waiting() == (0, 0.0)
    changed(harness, "a")
    harness.advance(30)
    changed(harness, "b")
    count, age_s = harness.deliveries.waiting()
    assert count == 2
    assert 29 < age_s < 60
    for delivery in claimed(harness):
        harness.deliveries.settle(delivery, REFUSED, Settlement(DeliveryState.PENDING, delay_s=5))
    assert harness.deliveries.waiting()[0] == 0


def test_old_ends_are_forgotten_and_what_still_waits_is_not(harness: Harness) -> None:
    endpoint = subscribed(harness)
    changed(harness, "a", "b")
    arrived, waits = claimed(harness)
    harness.deliveries.settle(arrived, DELIVERED, ARRIVED)
    harness.deliveries.settle(waits, REFUSED, Settlement(DeliveryState.PENDING, delay_s=5))
    harness.advance(3600)
    assert harness.deliveries.forget(seconds(7200), 10) == 0
    assert harness.deliveries.forget(seconds(1800), 10) == 1
    assert [record.delivery_id for record in harness.deliveries.deliveries(endpoint.endpoint_id, 10)] == [
        waits.delivery_id
    ]


def test_a_rotated_secret_is_the_next_generation(harness: Harness) -> None:
    endpoint = subscribed(harness)
    rotated = harness.endpoints.rotate(endpoint.endpoint_id, "lead")
    assert rotated is not None
    assert rotated.generation == 2
    assert rotated.rotated_at is not None
    assert harness.endpoints.rotate(uuid4(), "lead") is None
    assert harness.endpoints.enable(uuid4(), "lead") is None


def test_endpoints_are_seen_by_their_facility_only_and_every_change_is_audited(harness: Harness) -> None:
    endpoint = subscribed(harness, kind=HookKind.SLACK, changes=frozenset({"incident.opened"}), min_severity="critical")
    there = subscribed(harness, facility=OTHER_FACILITY)
    assert harness.endpoints.endpoints(HERE) == [endpoint]
    assert {e.endpoint_id for e in harness.endpoints.endpoints()} == {endpoint.endpoint_id, there.endpoint_id}
    assert harness.endpoints.endpoint(HERE, there.endpoint_id) is None
    harness.endpoints.rotate(endpoint.endpoint_id, "lead")
    assert harness.endpoints.remove(endpoint.endpoint_id, "lead")
    assert not harness.endpoints.remove(endpoint.endpoint_id, "lead")
    assert harness.endpoints.endpoints(HERE) == []
    actions = [entry.action for entry in harness.audit() if entry.object == str(endpoint.endpoint_id)]
    assert actions == ["hook.added", "hook.rotated", "hook.removed"]


def test_an_endpoint_that_is_removed_takes_its_deliveries_along(harness: Harness) -> None:
    endpoint = subscribed(harness)
    changed(harness, "a")
    held = one(harness)
    assert harness.endpoints.remove(endpoint.endpoint_id, "lead")
    assert harness.deliveries.settle(held, DELIVERED, ARRIVED) is False
    assert harness.deliveries.deliveries(endpoint.endpoint_id, 10) == []


def test_an_endpoint_of_a_facility_that_did_not_exist_creates_it(harness: Harness) -> None:
    new = subscription(facility="brand-new")
    harness.endpoints.add_endpoint(new, "test")
    assert harness.endpoints.endpoints(frozenset({new.facility})) == [new]
