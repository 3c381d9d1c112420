"""A canary is taken back for what it does, and only when there is enough to say so."""

import pytest

from framegate.adapters.memory import FakeClock, MemoryStore
from framegate.kernel.inspection import Failed, Finding, Outcome
from framegate.kernel.rollout import ModelKey, Rollout
from framegate.kernel.states import ImageState, Stage, Verdict
from framegate.observability.catalogue import CANARY_ROLLBACKS
from framegate.observability.logs import get_log
from framegate.observability.metrics import Metrics
from framegate.ports.registry import Tally
from framegate.sweep.canary import CanaryBounds, CanaryGuard, beyond
from tests.contracts.examples import accept, advance_to, approved, complete, inspected, must_claim, outcome

BOUNDS = CanaryBounds()
OLD, NEW = ModelKey("carton@1", "11" * 32), ModelKey("carton@2", "22" * 32)
CALM = Tally({"pass": 900, "review": 80, "fail": 20}, 20.0)


@pytest.mark.parametrize(
    ("canary", "says"),
    [
        (Tally({"pass": 180, "review": 16, "fail": 4}, 21.0), ""),
        (Tally({"pass": 180, "review": 10, "failed": 10}, 21.0), "5.0% of its images end as failed"),
        (Tally({"pass": 100, "review": 80, "fail": 20}, 21.0), "50.0% of its images end as pass"),
        (Tally({"pass": 180, "review": 16, "fail": 4}, 31.0), "it takes 31 ms"),
        (Tally({"pass": 10, "review": 80, "failed": 9}, 99.0), ""),  # one image short of enough
        (None, ""),
    ],
)
def test_each_bound_is_judged_when_there_is_enough_to_judge_by(canary: Tally | None, says: str) -> None:
    reason = beyond(CALM, canary, BOUNDS)
    assert says in reason
    assert bool(says) == bool(reason)


def test_a_difference_that_chance_explains_is_no_reason() -> None:
    # 3 of 100 against 0 of 100 is above the bound of 2 %, and within three standard errors.
    assert beyond(Tally({"pass": 100}, 1.0), Tally({"pass": 97, "failed": 3}, 1.0), BOUNDS) == ""


def test_a_canary_that_fails_less_is_kept() -> None:
    incumbent = Tally({"pass": 900, "failed": 100}, 20.0)
    assert beyond(incumbent, Tally({"pass": 1000}, 20.0), BOUNDS) == ""


class Hall:
    """Images decided by the incumbent and by a canary."""

    def __init__(self) -> None:
        self.store = MemoryStore(FakeClock())
        for key in (OLD, NEW):
            approved(self.store.registry, key)
        self.metrics = Metrics()
        self.guard = CanaryGuard(self.store.registry, CanaryBounds(min_images=20), self.metrics, get_log())

    def decide(self, model: ModelKey, count: int, result: Outcome, found: Finding | None = None) -> None:
        progress = self.store.progress
        for _ in range(count):
            image = accept(self.store.intake)
            advance_to(progress, image, Stage.INFERENCE)
            found = found or inspected("box", model=model.ref, model_sha256=model.sha256)
            assert complete(progress, must_claim(progress, Stage.INFERENCE, image), found)
            assert complete(progress, must_claim(progress, Stage.GATE, image), result)


def test_a_canary_that_left_its_bounds_is_replaced_by_the_incumbent_with_the_reason() -> None:
    hall = Hall()
    hall.store.registry.order(Rollout(OLD), "lead")
    hall.store.registry.order(Rollout(OLD, NEW, 0.5), "lead")
    hall.decide(OLD, 30, outcome(Verdict.PASS))
    hall.guard.look()
    hall.decide(NEW, 30, outcome(Verdict.FAIL))
    hall.guard.look()
    active = hall.store.registry.active()
    assert active is not None
    assert active.rollout == Rollout(OLD)
    assert active.actor == "framegate"
    assert "canary carton@2 taken back: 0.0% of its images end as pass" in active.detail
    assert hall.metrics.value(CANARY_ROLLBACKS) == 1
    hall.guard.look()
    assert hall.metrics.value(CANARY_ROLLBACKS) == 1


def test_a_canary_within_its_bounds_stays() -> None:
    hall = Hall()
    hall.store.registry.order(Rollout(OLD), "lead")
    hall.store.registry.order(Rollout(OLD, NEW, 0.5), "lead")
    for model in (OLD, NEW):
        hall.decide(model, 30, outcome(Verdict.PASS))
    hall.guard.look()
    active = hall.store.registry.active()
    assert active is not None
    assert active.rollout.canary == NEW


def test_an_engine_whose_output_is_refused_counts_as_failing() -> None:
    hall = Hall()
    hall.store.registry.order(Rollout(OLD), "lead")
    hall.store.registry.order(Rollout(OLD, NEW, 0.5), "lead")
    hall.decide(OLD, 30, outcome(Verdict.PASS))
    failing = Failed("engine-output", "NaN.", NEW.ref, NEW.sha256, "an engine")
    hall.decide(NEW, 30, Outcome(ImageState.FAILED, None, failing.reason, failing.detail, 1), failing)
    hall.guard.look()
    assert "100.0% of its images end as failed" in hall.store.registry.active().detail  # type: ignore[union-attr]
