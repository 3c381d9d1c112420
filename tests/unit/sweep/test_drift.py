"""The watch of drift: what it shows, what it forgets, and that nothing stops it."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest

from framegate.adapters.memory import FakeClock, MemoryStore
from framegate.kernel.drift_features import Kind
from framegate.kernel.drift_reference import Level
from framegate.kernel.drift_state import Drift, DriftLimits, Subject
from framegate.kernel.errors import DependencyUnavailable
from framegate.kernel.ids import FacilityId
from framegate.observability.catalogue import DRIFT_FINDINGS, DRIFT_IMAGES, DRIFT_SCORE, HOUSEKEEPING_FAILURES
from framegate.observability.logs import get_log
from framegate.observability.metrics import Metrics
from framegate.ports.drift import TakenIn
from framegate.sweep.drift import MOST_SCORES, DriftWatch

HALL = FacilityId("hall-1")
MINUTE = 60.0


class Watched:
    """What it sees is set by the test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock, self.metrics = FakeClock(), Metrics()
        self.store = MemoryStore(self.clock)
        self.known: dict[Subject, Drift] = {}
        self.asked: list[int] = []
        self.forgotten: list[datetime] = []
        drifts = self.store.drifts
        monkeypatch.setattr(drifts, "known", self._known)
        monkeypatch.setattr(drifts, "forget", self._forget)
        self.watch = DriftWatch(drifts, DriftLimits(), timedelta(days=400), self.clock, self.metrics, get_log())

    def _known(self, *, compared: bool) -> Mapping[Subject, Drift]:
        assert compared, "of the others it shows nothing"
        return self.known

    def _forget(self, before: datetime, limit: int) -> int:
        self.forgotten.append(before)
        return limit if len(self.forgotten) == 1 else 0

    def score(self, camera: str, feature: str = "brightness") -> float:
        labels = {"subject_kind": "camera", "subject": f"hall-1/{camera}", "feature": feature}
        return self.metrics.value(DRIFT_SCORE, labels)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(monkeypatch)


def test_a_database_that_is_away_is_counted_and_looked_at_again(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> TakenIn:
        raise DependencyUnavailable("the database does not answer")

    with monkeypatch.context() as patched:
        patched.setattr(watched.store.drifts, "follow", away)
        watched.watch.look()
    assert watched.metrics.value(HOUSEKEEPING_FAILURES, {"work": "drift"}) == 1
    watched.watch.look()
    assert watched.metrics.value(HOUSEKEEPING_FAILURES, {"work": "drift"}) == 1


def test_data_that_it_cannot_handle_stop_the_watch_and_nothing_else(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = Drift().to_json()
    raw["window"]["pace"] = 3  # what a newer release wrote, which was taken back

    def follow(*_: object) -> TakenIn:
        Drift.from_json(raw)
        return TakenIn(1, ())

    with monkeypatch.context() as patched:
        patched.setattr(watched.store.drifts, "follow", follow)
        watched.watch.look()
    assert watched.metrics.value(HOUSEKEEPING_FAILURES, {"work": "drift"}) == 1
    watched.watch.look()
    assert watched.metrics.value(HOUSEKEEPING_FAILURES, {"work": "drift"}) == 1


def test_a_long_backlog_is_taken_in_parts_and_counted(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(_: DriftLimits, limit: int) -> TakenIn:
        watched.asked.append(limit)
        return TakenIn(limit, ())

    monkeypatch.setattr(watched.store.drifts, "follow", endless)
    watched.watch.look()
    assert watched.asked == [500] * 20
    assert watched.metrics.value(DRIFT_IMAGES) == 10_000


def test_only_the_largest_scores_are_shown_and_what_is_no_longer_true_is_gone(watched: Watched) -> None:
    def scored(psi: float) -> Drift:
        return Drift(scores={"brightness": Level(psi, 0.1, 0.5)})

    cameras = [Subject(HALL, Kind.CAMERA, f"dock-{n}") for n in range(MOST_SCORES + 1)]
    watched.known = {camera: scored(1 + n) for n, camera in enumerate(cameras)}
    watched.watch.look()
    assert (watched.score("dock-0"), watched.score("dock-1")) == (0, 2)
    watched.known[cameras[0]] = scored(1000)
    watched.clock.advance(MINUTE)
    watched.watch.look()
    assert (watched.score("dock-0"), watched.score("dock-1")) == (1000, 0)
    shown = watched.metrics.render()[0].decode().count("framegate_drift_score{")
    assert shown == MOST_SCORES


def test_what_drifts_is_counted_by_kind_and_feature_and_classes_are_one(watched: Watched) -> None:
    camera, model = Subject(HALL, Kind.CAMERA, "dock-1"), Subject(HALL, Kind.MODEL, "carton@1")
    watched.known = {
        camera: Drift(holds={"brightness": "a", "confidence:hole": "b", "confidence:tear": "c"}),
        model: Drift(holds={"brightness": "d"}),
    }
    watched.watch.look()
    of_camera = {"subject_kind": "camera"}
    assert watched.metrics.value(DRIFT_FINDINGS, of_camera | {"feature": "confidence"}) == 2
    assert watched.metrics.value(DRIFT_FINDINGS, of_camera | {"feature": "brightness"}) == 1
    watched.known = {}
    watched.clock.advance(MINUTE)
    watched.watch.look()
    assert watched.metrics.value(DRIFT_FINDINGS, of_camera | {"feature": "confidence"}) == 0


def test_what_is_old_is_forgotten_in_parts_once_an_hour(watched: Watched) -> None:
    watched.watch.look()
    watched.watch.look()
    assert watched.forgotten == [watched.clock.now() - timedelta(days=400)] * 2
    watched.clock.advance(61 * MINUTE)
    watched.watch.look()
    assert len(watched.forgotten) == 3
