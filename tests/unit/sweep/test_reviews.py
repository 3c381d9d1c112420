"""What follows from decisions is done by the sweep."""

from datetime import timedelta

import pytest

from framegate.adapters.memory import FakeClock, MemoryStore
from framegate.gate.people import AlertsOfPeople
from framegate.kernel.errors import DependencyUnavailable
from framegate.kernel.reviews import Choice, Decision
from framegate.kernel.states import Verdict
from framegate.observability.logs import get_log
from framegate.observability.metrics import Metrics
from framegate.sweep.reviews import ReviewWatch
from tests.contracts.examples import FACILITY, accept, decide, outcome


class Desk:
    def __init__(self) -> None:
        self.clock, self.metrics = FakeClock(), Metrics()
        self.store = MemoryStore(self.clock)
        rules = AlertsOfPeople(self.store.policies, self.clock).rules
        self.watch = ReviewWatch(self.store.reviews, rules, self.metrics, get_log(stage="sweep"))

    def shown(self) -> dict[str, str]:
        lines = self.metrics.render()[0].decode().splitlines()
        return dict(line.rsplit(" ", 1) for line in lines if line.startswith("framegate_review_"))


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_what_waits_is_shown_and_what_is_due_is_settled_once(desk: Desk) -> None:
    images = [accept(desk.store.intake) for _ in range(2)]
    for image in images:
        decide(desk.store.progress, image, outcome(Verdict.REVIEW))
    failed = images[0]
    desk.store.reviews.decide(
        frozenset({FACILITY}),
        failed.image_id,
        1,
        failed.sha256,
        Decision(Choice.FAIL, "dent"),
        "Ann",
        timedelta(seconds=30),
    )
    desk.clock.advance(29)
    desk.watch.look()
    assert desk.store.state.alerts == []
    assert desk.shown() == {"framegate_review_items_open": "1.0", "framegate_review_oldest_seconds": "29.0"}
    desk.clock.advance(1)
    for _ in range(2):
        desk.watch.look()
    (raised,) = desk.store.state.alerts
    assert (raised.image_id, raised.alert.summary) == (failed.image_id, "dock-7 saw dent, as Ann decided")


def test_a_database_that_is_away_is_counted_and_the_next_look_comes(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> int:
        raise DependencyUnavailable

    monkeypatch.setattr(desk.store.reviews, "settle", away)
    desk.watch.look()
    assert 'framegate_housekeeping_failures_total{work="reviews"} 1.0' in desk.metrics.render()[0].decode()
