"""What follows from decisions is done by the sweep."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from framegate.adapters.memory import FakeClock, MemoryStore
from framegate.gate.people import AlertsOfPeople
from framegate.kernel.errors import DependencyUnavailable
from framegate.kernel.reviews import LATELY, Choice, Decision, Tally, clopper_pearson
from framegate.kernel.states import Verdict
from framegate.observability.logs import get_log
from framegate.observability.metrics import Metrics
from framegate.sweep.reviews import MOST_MODELS, ReviewWatch
from tests.contracts.examples import FACILITY, MODEL, accept, decide, outcome


class Desk:
    def __init__(self) -> None:
        self.clock, self.metrics = FakeClock(), Metrics()
        self.store = MemoryStore(self.clock)
        rules = AlertsOfPeople(self.store.policies, self.clock).rules
        self.watch = ReviewWatch(self.store.reviews, rules, self.clock, self.metrics, get_log(stage="sweep"))

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


def judge(desk: Desk, choices: Sequence[Choice]) -> None:
    """Of automatic passes, all of them checked."""
    desk.store.state.sample = 1.0
    for choice in choices:
        image = accept(desk.store.intake)
        decide(desk.store.progress, image, outcome(Verdict.PASS))
        decision = Decision(choice, "dent" if choice is Choice.FAIL else "")
        desk.store.reviews.decide(
            frozenset({FACILITY}), image.image_id, 1, image.sha256, decision, "Ann", timedelta(seconds=30)
        )


def test_the_share_of_passes_that_people_call_fail_is_shown_with_its_interval_until_it_is_history(desk: Desk) -> None:
    judge(desk, [Choice.FAIL, *[Choice.PASS] * 58])
    desk.watch.look()
    low, high = (
        f'framegate_review_escape_low_ratio{{model="{MODEL}"}}',
        f'framegate_review_escape_high_ratio{{model="{MODEL}"}}',
    )
    ratio = f'framegate_review_escape_ratio{{model="{MODEL}"}}'
    assert {low, high} <= desk.shown().keys()
    assert ratio not in desk.shown(), "59 say too little"
    judge(desk, [Choice.PASS])
    desk.watch.look()
    assert ratio not in desk.shown(), "it is asked once a minute"
    desk.clock.advance(60)
    desk.watch.look()
    assert float(desk.shown()[ratio]) == pytest.approx(1 / 60)
    assert (float(desk.shown()[low]), float(desk.shown()[high])) == clopper_pearson(1, 60, 0.95)
    desk.clock.advance(LATELY.total_seconds())
    desk.watch.look()
    assert not {ratio, low, high} & desk.shown().keys()


def test_of_many_models_those_are_shown_of_which_most_was_checked(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    tallies = [Tally("model", f"m@{n}", judged=n, escaped=0) for n in range(1, MOST_MODELS + 2)]
    monkeypatch.setattr(desk.store.reviews, "escapes", lambda: tallies)
    desk.watch.look()
    shown = {name for name in desk.shown() if name.startswith("framegate_review_escape_high")}
    assert len(shown) == MOST_MODELS
    assert 'framegate_review_escape_high_ratio{model="m@1"}' not in shown


def test_a_database_that_is_away_is_counted_and_the_next_look_comes(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> int:
        raise DependencyUnavailable

    monkeypatch.setattr(desk.store.reviews, "settle", away)
    desk.watch.look()
    assert 'framegate_housekeeping_failures_total{work="reviews"} 1.0' in desk.metrics.render()[0].decode()
