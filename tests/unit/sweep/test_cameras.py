"""The watch goes on whatever is in the way of it."""

import pytest

from framegate.adapters.memory import FakeClock, MemoryStore
from framegate.kernel.camera_health import HealthLimits
from framegate.kernel.errors import DependencyUnavailable
from framegate.observability.catalogue import CAMERA_FAULTS, HOUSEKEEPING_FAILURES
from framegate.observability.logs import get_log
from framegate.observability.metrics import Metrics
from framegate.ports.camera_health import Followed
from framegate.sweep.cameras import CameraWatch


def watch() -> tuple[CameraWatch, MemoryStore, Metrics]:
    store, metrics = MemoryStore(FakeClock()), Metrics()
    return CameraWatch(store.camera_healths, HealthLimits(), metrics, get_log()), store, metrics


def test_a_database_that_is_away_is_counted_and_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    watching, store, metrics = watch()

    def away(*_: object) -> Followed:
        raise DependencyUnavailable("the database does not answer")

    with monkeypatch.context() as patched:
        patched.setattr(store.camera_healths, "follow", away)
        watching.look()
    assert metrics.value(HOUSEKEEPING_FAILURES, {"work": "cameras"}) == 1
    watching.look()
    assert metrics.value(HOUSEKEEPING_FAILURES, {"work": "cameras"}) == 1
    assert metrics.value(CAMERA_FAULTS, {"fault": "frozen"}) == 0


def test_a_long_backlog_is_taken_in_parts_and_does_not_keep_others_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    watching, store, _ = watch()
    asked: list[int] = []

    def endless(_: HealthLimits, limit: int) -> Followed:
        asked.append(limit)
        return Followed(limit, ())

    monkeypatch.setattr(store.camera_healths, "follow", endless)
    watching.look()
    assert asked == [500] * 20
