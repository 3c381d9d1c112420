"""The alerts stage: from an alert to its receivers, whatever they do."""

import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from framegate.adapters.memory import FakeClock, MemoryHook, MemoryStore
from framegate.alerts.dispatcher import Dispatcher, DispatchOptions
from framegate.alerts.service import AlertOptions, AlertService
from framegate.kernel.errors import DependencyUnavailable
from framegate.kernel.hooksecrets import secrets_of
from framegate.kernel.ids import DEFAULT_FACILITY
from framegate.kernel.incidents import IncidentState
from framegate.kernel.inspection import Alert
from framegate.kernel.redelivery import SCHEDULE_S
from framegate.kernel.states import Verdict
from framegate.observability.catalogue import (
    ALERTS_GROUPED,
    FIRST_ATTEMPT_SECONDS,
    HOOK_ATTEMPTS,
    HOOK_SECONDS,
    HOOK_WAITING,
    INCIDENT_CHANGES,
)
from framegate.observability.logs import get_log
from framegate.observability.metrics import Metrics
from framegate.ports.deliveries import DeliveryState, Subscription
from framegate.ports.hooks import Endpoint, HookKind, HookMessage
from framegate.ports.notices import Announcer
from framegate.worker.due import Due
from tests.contracts.examples import accept, decide, outcome
from tests.contracts.hooks import subscription
from tests.support.clocks import let_time_pass

EVERY = frozenset(IncidentState)
HERE = frozenset({DEFAULT_FACILITY})
ANNOUNCE = Announcer("https://inspect.example", b"pepper")


class Bell:
    """A wake-up whose wait ends when somebody interrupts it, or is told to stop."""

    def __init__(self) -> None:
        self.rung = threading.Event()
        self.listened: list[list[str]] = []

    def listen(self, queues: Any) -> bool:
        self.listened.append(list(queues))
        return True

    def wait(self, timeout_s: float) -> None:
        self.rung.wait(5)
        self.rung.clear()

    def interrupt(self) -> None:
        self.rung.set()

    def close(self) -> None:
        self.rung.set()


class Office:
    """One worker of the alerts stage over memory."""

    def __init__(self) -> None:
        self.clock = FakeClock(blocking=True)
        self.store = MemoryStore(self.clock)
        self.hook = MemoryHook()
        self.metrics, self.bell = Metrics(), Bell()
        self.dispatcher, self.service = self.worker("one")

    def worker(self, name: str, slots: int = 4, most: int = 512) -> tuple[Dispatcher, AlertService]:
        def secrets(to: Subscription, now: Any) -> tuple[str, ...]:
            return secrets_of(b"pepper", to.endpoint_id, to.generation, to.rotated_at, now)

        log = get_log()
        dispatcher = Dispatcher(
            self.store.deliveries,
            {HookKind.WEBHOOK: self.hook},
            secrets,
            name,
            DispatchOptions(slots=slots, most=most),
            self.clock,
            lambda: 0.5,
            self.metrics,
            log,
            self.bell.interrupt,
        )
        service = AlertService(
            self.store.incidents,
            self.store.deliveries,
            dispatcher,
            self.bell,
            ANNOUNCE,
            name,
            AlertOptions("alerts"),
            self.clock,
            self.metrics,
            log,
        )
        return dispatcher, service

    def endpoint(self, **changes: Any) -> Subscription:
        new = subscription(facility=DEFAULT_FACILITY, created_at=self.clock.now(), **changes)
        self.store.endpoints.add_endpoint(new, "test")
        return new

    def alert(self, subject: str = "pallet/7") -> None:
        self.store.incidents.raise_alert(DEFAULT_FACILITY, Alert("damage", "critical", subject, "A torn carton."))

    def look(self) -> None:
        """One round, and all that it began."""
        self.service.look()
        assert self.drained()

    def drained(self) -> bool:
        return self.dispatcher.drain(10)

    def states(self, endpoint: Subscription) -> Counter[DeliveryState]:
        return Counter(r.state for r in self.store.deliveries.deliveries(endpoint.endpoint_id, 1000))


@pytest.fixture
def office() -> Office:
    return Office()


def test_an_alert_reaches_every_receiver_signed_and_once(office: Office) -> None:
    one, two = office.endpoint(), office.endpoint()
    office.alert()
    office.look()
    office.look()
    arrived = office.hook.received
    assert {r.endpoint.endpoint_id for r in arrived} == {str(one.endpoint_id), str(two.endpoint_id)}
    assert len(arrived) == 2
    assert all(r.endpoint.secrets for r in arrived)
    assert len({r.message.message_id for r in arrived}) == 1
    assert office.states(one) == {DeliveryState.DELIVERED: 1}
    assert office.metrics.value(INCIDENT_CHANGES, {"change": "incident.opened"}) == 1
    assert office.metrics.value(HOOK_ATTEMPTS, {"kind": "webhook", "reason": "delivered"}) == 2


def test_after_a_rotation_both_secrets_sign_for_a_day(office: Office) -> None:
    endpoint = office.endpoint()
    before = secrets_of(b"pepper", endpoint.endpoint_id, 1, None, office.clock.now())
    office.store.endpoints.rotate(endpoint.endpoint_id, "lead")
    office.alert("a")
    office.look()
    office.clock.advance(24 * 3600)
    office.alert("b")
    office.look()
    first, *_, last = office.hook.received
    assert len(first.endpoint.secrets) == 2
    assert first.endpoint.secrets[1:] == before
    assert last.endpoint.secrets == first.endpoint.secrets[:1]


def test_a_failing_receiver_is_tried_again_by_the_schedule_with_the_same_message(office: Office) -> None:
    endpoint = office.endpoint()
    answers = iter([500, 503, 200])
    office.hook.receiver = lambda _endpoint, _message: next(answers)
    office.alert()
    office.look()
    for wait_s in (5, 300):
        office.clock.advance(wait_s - 1)
        office.look()
        office.clock.advance(1)
        office.look()
    assert len(office.hook.received) == 3
    assert len({r.message for r in office.hook.received}) == 1
    assert office.states(endpoint) == {DeliveryState.DELIVERED: 1}
    assert [line.result.status for line in office.store.deliveries.log(endpoint.endpoint_id, 10)] == [200, 503, 500]


def test_ten_failures_are_dead_letters_that_one_command_brings_back(office: Office) -> None:
    endpoint = office.endpoint()
    office.hook.receiver = lambda _endpoint, _message: 500
    office.alert()
    for wait_s in (0, *SCHEDULE_S[1:]):
        office.clock.advance(wait_s)
        office.look()
    first = [r.message for r in office.hook.received if r.message.type == "incident.opened"]
    assert len(first) == 10
    (dead,) = office.store.deliveries.dead(HERE, 10)
    assert dead.reason == "10 attempts failed; the last: the receiver answered 500"
    office.hook.receiver = lambda _endpoint, _message: 200
    assert office.store.deliveries.replay(HERE) == 1
    office.look()
    assert office.store.deliveries.dead(HERE, 10) == []
    assert [r.message for r in office.hook.received].count(first[0]) == 11
    assert office.store.deliveries.log(endpoint.endpoint_id, 1)[0].result.status == 200


def test_a_receiver_that_wants_no_more_is_disabled_and_the_others_are_told(office: Office) -> None:
    gone, other = office.endpoint(), office.endpoint()
    office.hook.receiver = lambda endpoint, _: 410 if endpoint.endpoint_id == str(gone.endpoint_id) else 200
    office.alert()
    office.look()
    office.look()
    (found,) = (e for e in office.store.endpoints.endpoints() if e.endpoint_id == gone.endpoint_id)
    assert not found.enabled
    assert "410" in found.reason
    told = [r.message for r in office.hook.received if r.endpoint.endpoint_id == str(other.endpoint_id)]
    assert [f"hook/{gone.endpoint_id}" in m.title for m in told] == [False, True]


def test_a_slow_receiver_delays_no_other(office: Office) -> None:
    slow, quick = office.endpoint(), office.endpoint()
    hold, entered = threading.Event(), threading.Semaphore(0)

    def receiver(endpoint: Endpoint, _: HookMessage) -> int:
        if endpoint.endpoint_id == str(slow.endpoint_id):
            entered.release()
            assert hold.wait(20)
        return 200

    office.hook.receiver = receiver
    for n in range(40):
        office.alert(f"pallet/{n}")
    office.service.look()
    for _ in range(4):
        assert entered.acquire(timeout=10)
    while office.states(quick) != {DeliveryState.DELIVERED: 40}:
        assert office.bell.rung.wait(10)
        office.bell.rung.clear()
        office.service.look()
    assert not entered.acquire(blocking=False), "the slow receiver got more than its four slots"
    assert office.states(slow) == {DeliveryState.PENDING: 40}
    hold.set()
    while office.states(slow) != {DeliveryState.DELIVERED: 40}:
        assert office.drained()
        office.service.look()


def test_many_slow_receivers_have_no_more_threads_than_there_may_be(office: Office) -> None:
    for _ in range(4):
        office.endpoint()
    hold = threading.Event()
    office.hook.receiver = lambda _endpoint, _message: 200 if hold.wait(20) else 500
    dispatcher, service = office.worker("two", most=6)
    for n in range(4):
        office.alert(f"pallet/{n}")
    service.look()
    assert dispatcher.dispatch() == 0
    assert sum(thread.name == "delivery" for thread in threading.enumerate()) == 6
    hold.set()
    assert dispatcher.drain(10)


def test_a_process_without_threads_leaves_deliveries_to_their_leases(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = office.endpoint()
    for n in range(5):
        office.alert(f"pallet/{n}")

    def refused(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", refused)
        office.look()
    office.clock.advance(DispatchOptions().lease.total_seconds() + 1)
    office.look()
    office.look()
    assert office.states(endpoint) == {DeliveryState.DELIVERED: 5}


def test_a_worker_that_died_after_sending_leaves_a_message_that_is_sent_again_with_its_id(office: Office) -> None:
    endpoint = office.endpoint()
    office.alert()
    office.store.incidents.group(10, ANNOUNCE)
    with_settle_lost(office, office.dispatcher.dispatch)
    _, successor = office.worker("one")
    successor.look()
    while office.states(endpoint) != {DeliveryState.DELIVERED: 1}:
        assert office.bell.rung.wait(10)
        office.bell.rung.clear()
    assert len(office.hook.received) == 2
    assert len({r.message.message_id for r in office.hook.received}) == 1


def with_settle_lost(office: Office, work: Callable[[], object]) -> None:
    """As if the process had died between the answer and writing it down."""
    settle = office.store.deliveries.settle
    office.store.deliveries.settle = lambda *_: False  # type: ignore[method-assign]
    work()
    assert office.drained()
    office.store.deliveries.settle = settle  # type: ignore[method-assign]


def test_what_was_sent_is_written_down_though_the_database_was_away(office: Office) -> None:
    endpoint = office.endpoint()
    office.alert()
    settle, failures = office.store.deliveries.settle, iter([True, True, False])

    def flaky(*arguments: Any) -> bool:
        if next(failures):
            raise DependencyUnavailable
        return settle(*arguments)

    office.store.deliveries.settle = flaky  # type: ignore[method-assign]
    office.service.look()
    let_time_pass(office.clock, lambda: office.states(endpoint) == {DeliveryState.DELIVERED: 1}, 0.1)
    assert office.drained()
    assert len(office.hook.received) == 1


def test_a_hook_that_fails_by_our_own_fault_is_an_attempt_like_any_other(office: Office) -> None:
    endpoint = office.endpoint(kind=HookKind.SNS, target="arn:aws:sns:eu-central-1:123456789012:alerts")
    office.alert()
    office.look()
    (line,) = office.store.deliveries.log(endpoint.endpoint_id, 10)
    assert (line.result.reason, line.result.status) == ("internal", None)
    assert office.states(endpoint) == {DeliveryState.PENDING: 1}


def test_the_first_attempt_is_timed_from_what_happened_and_what_waits_is_a_gauge(office: Office) -> None:
    office.endpoint()
    office.alert()
    office.clock.advance(3)
    office.hook.receiver = lambda _endpoint, _message: 500
    office.look()
    rendered = office.metrics.render()[0].decode()
    assert f"{FIRST_ATTEMPT_SECONDS.name}_sum 3.0" in rendered
    office.clock.advance(5)
    office.service._due = Due(office.clock)
    office.look()
    assert office.metrics.value(HOOK_WAITING) == 1
    assert f"{FIRST_ATTEMPT_SECONDS.name}_count 1.0" in office.metrics.render()[0].decode()


@pytest.mark.parametrize(("flags", "there"), [("01", True), ("00", False)])
def test_attempts_to_tell_of_an_image_whose_trace_is_recorded_lead_to_the_trace(
    office: Office, flags: str, there: bool
) -> None:
    office.endpoint()
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    image = accept(office.store.intake, facility=DEFAULT_FACILITY, trace=f"00-{trace}-00f067aa0ba902b7-{flags}")
    torn = Alert("damage", "critical", "pallet/7", "A torn carton.")
    decide(office.store.progress, image, outcome(Verdict.FAIL, 1, torn))
    office.look()
    lines = office.metrics.render("application/openmetrics-text; version=1.0.0")[0].decode().splitlines()
    for metric in (FIRST_ATTEMPT_SECONDS, HOOK_SECONDS):
        buckets = [line for line in lines if line.startswith(f"{metric.name}_bucket")]
        assert buckets
        assert any(f'# {{trace_id="{trace}"}}' in line for line in buckets) is there


def test_time_escalates_and_resolves_without_any_alert(office: Office) -> None:
    office.endpoint()
    office.alert()
    office.look()
    for wait_s in (900, 900):
        office.clock.advance(wait_s)
        office.look()
    kinds = [r.message.type for r in office.hook.received]
    assert kinds == ["incident.opened", "incident.escalated", "incident.resolved"]


def test_a_database_that_is_away_makes_the_stage_unready_and_loses_nothing(office: Office) -> None:
    endpoint = office.endpoint()
    office.alert()
    group, stop = office.store.incidents.group, threading.Event()

    def away(*_: Any) -> Any:
        raise DependencyUnavailable

    office.store.incidents.group = away  # type: ignore[method-assign]
    thread = threading.Thread(target=office.service.run, args=(stop,))
    thread.start()
    try:
        let_time_pass(office.clock, lambda: office.service.trouble != "", 0)
        office.store.incidents.group = group  # type: ignore[method-assign]
        let_time_pass(office.clock, lambda: office.states(endpoint) == {DeliveryState.DELIVERED: 1}, 0.2)
        let_time_pass(office.clock, lambda: office.service.trouble == "", 0)
    finally:
        stop.set()
        office.bell.interrupt()
        thread.join(10)
    assert not thread.is_alive()
    assert office.bell.listened[0] == ["alerts"]


def test_a_stopped_stage_finishes_what_it_began(office: Office) -> None:
    endpoint = office.endpoint()
    hold, entered, stop = threading.Event(), threading.Event(), threading.Event()

    def receiver(_: Endpoint, __: HookMessage) -> int:
        entered.set()
        assert hold.wait(10)
        return 200

    office.hook.receiver = receiver
    office.alert()
    thread = threading.Thread(target=office.service.run, args=(stop,))
    thread.start()
    assert entered.wait(10)
    stop.set()
    office.bell.interrupt()
    hold.set()
    thread.join(10)
    assert not thread.is_alive()
    assert office.states(endpoint) == {DeliveryState.DELIVERED: 1}


def test_neither_a_stop_nor_a_retry_waits_for_a_long_backlog(office: Office) -> None:
    office.endpoint()
    answers = iter([500])
    office.hook.receiver = lambda _endpoint, _message: next(answers, 200)
    office.alert("pallet/early")
    office.look()
    office.clock.advance(5)
    for _ in range(1_200):
        office.alert()
    stop, group = threading.Event(), office.store.incidents.group

    def once(*arguments: Any) -> Any:
        stop.set()
        return group(*arguments)

    office.store.incidents.group = once  # type: ignore[method-assign]
    office.service.run(stop)
    assert office.metrics.value(ALERTS_GROUPED) == 501
    kinds = Counter((r.message.type, "early" in r.message.title) for r in office.hook.received)
    assert kinds == {("incident.opened", True): 2, ("incident.opened", False): 1}


def test_what_still_waits_to_be_grouped_keeps_its_incident_going(office: Office) -> None:
    for _ in range(1_200):
        office.alert()
        office.clock.advance(10)
    while office.service.look():
        office.clock.advance(1)
    (incident,) = office.store.incidents.incidents(HERE, EVERY, 10)
    assert incident.images == 1_200
    assert incident.state is IncidentState.OPEN


def test_a_long_backlog_is_grouped_without_waiting(office: Office) -> None:
    for _ in range(1_200):
        office.alert()
    assert [office.service.look() for _ in range(3)] == [True, True, False]
    assert office.metrics.value(ALERTS_GROUPED) == 1_200


def test_forgetting_keeps_up_with_what_was_delivered(office: Office) -> None:
    forgotten, calls = iter([500, 500, 20]), []

    def forget(ended_before: timedelta, limit: int) -> int:
        calls.append((ended_before.days, limit))
        return next(forgotten)

    office.store.deliveries.forget = forget  # type: ignore[method-assign]
    for _ in range(5):
        office.look()
        office.clock.advance(1)
    assert calls == [(30, 500)] * 3


def test_an_endpoint_of_another_worker_counts_by_itself(office: Office) -> None:
    endpoint = office.endpoint()
    for n in range(8):
        office.alert(f"pallet/{n}")
    office.store.incidents.group(10, ANNOUNCE)
    busy: dict[UUID, int] = {endpoint.endpoint_id: 4}
    assert office.store.deliveries.claim("two", DispatchOptions().lease, 4, busy, 100) == []
