"""What an attempt means."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from framegate.alerts.settling import settlement
from framegate.kernel.ids import FacilityId
from framegate.ports.deliveries import Delivery, DeliveryState
from framegate.ports.hooks import Attempt, Ending, Reason
from framegate.ports.notices import trial
from tests.contracts.hooks import DELIVERED, REFUSED, subscription

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
MESSAGE = trial(FacilityId("main"), NOW, "test")


def delivery(attempts: int = 0, failing_for: timedelta | None = None, failures: int = 0) -> Delivery:
    since = None if failing_for is None else NOW - failing_for
    endpoint = subscription(failing_since=since, failures=failures)
    return Delivery(1, endpoint, MESSAGE, attempts, "one", UUID(int=1), NOW, NOW)


def test_what_arrived_is_done() -> None:
    done = settlement(delivery(9), DELIVERED, NOW, 0.5)
    assert (done.state, done.disable, done.alert) == (DeliveryState.DELIVERED, "", None)


@pytest.mark.parametrize(
    ("made", "delay_s"),
    [(0, 5), (1, 300), (2, 1800), (3, 7200), (4, 18_000), (5, 36_000), (6, 50_400), (7, 72_000), (8, 86_400)],
)
def test_a_failure_is_tried_again_by_the_schedule(made: int, delay_s: float) -> None:
    done = settlement(delivery(made), REFUSED, NOW, 0.5)
    assert (done.state, done.delay_s, done.reason) == (DeliveryState.PENDING, delay_s, REFUSED.detail)


def test_the_tenth_failure_is_the_last() -> None:
    done = settlement(delivery(9), REFUSED, NOW, 0.5)
    assert (done.state, done.disable) == (DeliveryState.DEAD, "")
    assert done.reason == "10 attempts failed; the last: the receiver answered 500"


def test_the_receiver_may_ask_for_more_time_and_never_for_less() -> None:
    assert settlement(delivery(0), replace(REFUSED, retry_after_s=600), NOW, 0.5).delay_s == 600
    assert settlement(delivery(1), replace(REFUSED, retry_after_s=1), NOW, 0.5).delay_s == 300


def test_410_disables_the_endpoint_and_tells_the_others() -> None:
    done = settlement(delivery(), Attempt(Ending.GONE, 410, Reason.GONE, "the receiver answered 410"), NOW, 0.5)
    assert done.state is DeliveryState.DEAD
    assert "410" in done.disable
    assert done.alert is not None
    assert done.alert.subject.startswith("hook/")
    assert (done.alert.rule, done.alert.severity) == ("operations", "critical")


def test_five_days_without_success_disable_it_and_a_day_less_does_not() -> None:
    tried = settlement(delivery(3, timedelta(days=5), 30), REFUSED, NOW, 0.5)
    assert tried.state is DeliveryState.DEAD
    assert tried.disable.startswith("no message has arrived since 2026-04-26 12:00 UTC")
    assert settlement(delivery(3, timedelta(days=4), 300), REFUSED, NOW, 0.5).state is DeliveryState.PENDING


def test_few_failures_in_five_days_do_not_disable_it() -> None:
    assert settlement(delivery(3, timedelta(days=6), 8), REFUSED, NOW, 0.5).disable == ""
