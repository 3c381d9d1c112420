"""An inference worker follows what is deployed, without ever being without a model."""

import threading
from datetime import timedelta
from pathlib import Path

import pytest

from framegate.adapters.memory import FakeClock, MemoryStore
from framegate.adapters.memory_engine import MemoryEngine
from framegate.inference.deployments import DeploymentWatch
from framegate.inference.fleet import Fleet, LoadedModel
from framegate.kernel.errors import DependencyUnavailable, FramegateError, ModelRefused
from framegate.kernel.manifest import Head, ModelInput, ModelManifest
from framegate.kernel.rollout import ModelKey, Rollout
from framegate.kernel.states import Stage
from framegate.observability.catalogue import MODEL_INFO, MODEL_LOAD_FAILURES
from framegate.observability.logs import get_log
from framegate.observability.metrics import Metrics
from framegate.ports.registry import DeploymentState
from tests.contracts.examples import approved

MANIFEST = ModelManifest(
    "m", "1", "test", Path("m.onnx"), "", Head.END2END, ("a",), ModelInput(32, 32, True, False), 0.1, {}, (), {}
)
OLD, NEW = ModelKey("carton@1", "11" * 32), ModelKey("carton@2", "22" * 32)


class Hall:
    """A registry and some inference workers."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore(self.clock)
        self.registry = self.store.registry
        self.metrics = Metrics()
        self.trouble: dict[tuple[str, ModelKey], Exception] = {}
        for key in (OLD, NEW):
            approved(self.registry, key)

    def worker(self, name: str) -> tuple[DeploymentWatch, Fleet]:
        def load(key: ModelKey) -> LoadedModel:
            if error := self.trouble.get((name, key)):
                raise error
            return LoadedModel(key, MANIFEST, MemoryEngine(MANIFEST, 1))

        fleet = Fleet(load, self.clock)
        return DeploymentWatch(self.registry, fleet, name, self.clock, self.metrics, get_log()), fleet

    def started(self, name: str) -> tuple[DeploymentWatch, Fleet]:
        watch, fleet = self.worker(name)
        watch.start()
        self.store.workers.report(name, [Stage.INFERENCE], True, "", None)
        return watch, fleet


@pytest.fixture
def hall() -> Hall:
    return Hall()


def test_a_worker_starts_with_what_serves(hall: Hall) -> None:
    hall.registry.order(Rollout(OLD), "lead")
    _, fleet = hall.started("one")
    assert fleet.rollout == Rollout(OLD)


def test_what_stands_beside_the_deployments_is_followed_before_the_first_image(hall: Hall) -> None:
    hall.registry.order(Rollout(OLD), "lead")
    fleet = Fleet(lambda key: LoadedModel(key, MANIFEST, MemoryEngine(MANIFEST, 1)), hall.clock)
    served: list[Rollout] = []
    DeploymentWatch(
        hall.registry, fleet, "one", hall.clock, hall.metrics, get_log(), lambda: served.append(fleet.rollout)
    ).start()
    assert served == [Rollout(OLD)]


def test_a_chain_is_followed_while_the_watch_is_open_also_after_trouble_with_it(hall: Hall) -> None:
    hall.registry.order(Rollout(OLD), "lead")
    fleet = Fleet(lambda key: LoadedModel(key, MANIFEST, MemoryEngine(MANIFEST, 1)), hall.clock)
    looks, often = [0], threading.Event()

    def beside() -> None:
        looks[0] += 1
        if looks[0] == 2:
            raise DependencyUnavailable
        if looks[0] == 4:
            often.set()

    watch = DeploymentWatch(hall.registry, fleet, "one", hall.clock, hall.metrics, get_log(), beside)
    watch.start()
    with watch:
        assert often.wait(20)


def test_without_any_deployment_a_worker_does_not_start(hall: Hall) -> None:
    with pytest.raises(FramegateError, match="framegate models deploy"):
        hall.worker("one")[0].start()


def test_all_workers_swap_only_when_the_last_one_is_ready(hall: Hall) -> None:
    hall.registry.order(Rollout(OLD), "lead")
    (one, fleet_one), (two, fleet_two) = hall.started("one"), hall.started("two")
    hall.registry.order(Rollout(NEW), "lead")
    one.look()
    one.look()
    assert fleet_one.rollout == Rollout(OLD)
    two.look()
    one.look()
    assert (fleet_one.rollout, fleet_two.rollout) == (Rollout(NEW), Rollout(NEW))
    running = {"role": "incumbent", "engine": "memory 1 cpu f32"}
    assert hall.metrics.value(MODEL_INFO, {**running, "model": OLD.ref}) == 0
    assert hall.metrics.value(MODEL_INFO, {**running, "model": NEW.ref}) == 1


def test_every_role_is_told_and_no_more_when_it_is_over(hall: Hall) -> None:
    hall.registry.order(Rollout(OLD), "lead")
    watch, _ = hall.started("one")
    hall.registry.order(Rollout(OLD, shadow=NEW), "lead")
    watch.look()
    assert told(hall) == {("incumbent", OLD.ref), ("shadow", NEW.ref)}
    hall.registry.order(Rollout(OLD, canary=NEW, canary_share=0.1), "lead")
    watch.look()
    assert told(hall) == {("incumbent", OLD.ref), ("canary", NEW.ref)}
    hall.registry.order(Rollout(NEW), "lead")
    watch.look()
    assert told(hall) == {("incumbent", NEW.ref)}


def told(hall: Hall) -> set[tuple[str, str]]:
    """(role, model) of every series that is there."""
    (family,) = [family for family in hall.metrics.registry.collect() if family.name == MODEL_INFO.name]
    return {(sample.labels["role"], sample.labels["model"]) for sample in family.samples}


def test_a_worker_says_that_it_serves_also_after_a_dependency_was_away(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    hall.registry.order(Rollout(OLD), "lead")
    (one, fleet), (two, _) = hall.started("one"), hall.started("two")
    number = hall.registry.order(Rollout(NEW), "lead").number
    one.look()
    two.look()
    assert hall.registry.awaited(number) == {"one"}
    with monkeypatch.context() as away:
        away.setattr(hall.registry, "report_serving", lambda *_: (_ for _ in ()).throw(DependencyUnavailable()))
        with pytest.raises(DependencyUnavailable):
            one.look()
    assert (fleet.rollout, hall.registry.awaited(number)) == (Rollout(NEW), {"one"})
    one.look()
    assert hall.registry.awaited(number) == frozenset()


def test_a_failed_load_keeps_the_old_model_everywhere_and_says_why(hall: Hall) -> None:
    hall.registry.order(Rollout(OLD), "lead")
    (one, fleet_one), (two, fleet_two) = hall.started("one"), hall.started("two")
    hall.trouble["two", NEW] = ModelRefused("the weights are damaged")
    number = hall.registry.order(Rollout(NEW), "lead").number
    for watch in (one, two, one, two):
        watch.look()
    assert (fleet_one.rollout, fleet_two.rollout) == (Rollout(OLD), Rollout(OLD))
    failed = hall.registry.deployment(number)
    assert failed is not None
    assert (failed.state, failed.detail) == (DeploymentState.FAILED, "two: the weights are damaged")
    assert hall.metrics.value(MODEL_LOAD_FAILURES) == 1


def test_a_dependency_that_is_away_is_no_verdict_on_the_model(hall: Hall) -> None:
    hall.registry.order(Rollout(OLD), "lead")
    watch, fleet = hall.started("one")
    hall.trouble["one", NEW] = DependencyUnavailable()
    hall.registry.order(Rollout(NEW), "lead")
    with pytest.raises(DependencyUnavailable):
        watch.look()
    hall.trouble.clear()
    watch.look()
    assert fleet.rollout == Rollout(NEW)


def test_a_worker_that_missed_the_swap_catches_up_and_does_not_try_all_the_time(hall: Hall) -> None:
    hall.registry.order(Rollout(OLD), "lead")
    watch, fleet = hall.started("one")
    hall.clock.advance(60)  # not seen for a minute: nobody waits for it
    hall.trouble["one", NEW] = ModelRefused("no room")
    hall.registry.order(Rollout(NEW), "lead")
    for _ in range(3):
        watch.look()
    assert hall.metrics.value(MODEL_LOAD_FAILURES) == 1
    hall.trouble.clear()
    hall.clock.advance(timedelta(seconds=30).total_seconds())
    watch.look()
    assert fleet.rollout == Rollout(NEW)
