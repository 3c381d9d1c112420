"""The watcher of cameras on a real Postgres: each image counts once, whoever looks, and whatever dies."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from framegate.adapters.clock import SystemClock
from framegate.adapters.memory import MemoryBlobs
from framegate.adapters.postgres import (
    Database,
    PostgresCameraHealths,
    PostgresIntake,
    PostgresProgress,
    PostgresQueue,
    PostgresRegistry,
    PostgresUpkeep,
)
from framegate.kernel.camera_health import HealthLimits
from framegate.kernel.ids import CameraId
from framegate.kernel.inspection import Prepared
from framegate.kernel.states import Stage
from framegate.observability.catalogue import CAMERA_FAULT_CHANGES, CAMERA_FAULTS
from framegate.observability.logs import get_log
from framegate.observability.metrics import Metrics
from framegate.sweep.cameras import CameraWatch
from framegate.sweep.canary import CanaryBounds, CanaryGuard
from framegate.sweep.sweeper import Sweeper, SweepOptions
from tests.contracts.examples import CAMERA, FACILITY, accept, complete, inspected, must_claim, outcome
from tests.support.box import until
from tests.support.cameras import Place

LIMITS = HealthLimits(frozen_frames=5, frozen_s=0, recovery=5)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


def sees(database: Database, *frames: Prepared, camera: CameraId = CAMERA) -> None:
    intake, progress = PostgresIntake(database), PostgresProgress(database)
    for frame in frames:
        image = accept(intake, camera=camera)
        for stage, result in ((Stage.PREPROCESS, frame), (Stage.INFERENCE, inspected()), (Stage.GATE, outcome())):
            assert complete(progress, must_claim(progress, stage, image), result)


def counted(database: Database, camera: CameraId = CAMERA) -> int:
    health = PostgresCameraHealths(database).health(FACILITY, camera)
    return 0 if health is None else health.frames


def test_watchers_that_look_at_once_count_every_image_once(database: Database) -> None:
    place = Place()
    sees(database, *(place.frame() for _ in range(60)))
    failures: list[BaseException] = []
    judged: list[int] = []

    def look() -> None:
        try:
            judged.extend(PostgresCameraHealths(database).follow(LIMITS, 3).images for _ in range(40))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    until(lambda: judged.append(PostgresCameraHealths(database).follow(LIMITS, 3).images) or judged[-1] == 0)
    assert failures == []
    assert (sum(judged), counted(database)) == (60, 60)


def test_a_watcher_that_dies_before_its_commit_has_judged_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    same = Place().frame()
    sees(database, *[same] * 5)
    watch = PostgresCameraHealths(database)

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("framegate.adapters.postgres.camera_health.raise_alert", dies)
        with pytest.raises(KeyboardInterrupt):
            watch.follow(LIMITS, 100)
    assert watch.faults() == {}
    assert [change.fault for change in watch.follow(LIMITS, 100).changes] == ["frozen"]
    assert watch.follow(LIMITS, 100).changes == []


def test_what_somebody_stored_in_another_form_does_not_stop_the_watch(database: Database, database_url: str) -> None:
    place = Place()
    odd = replace(place.frame(), recipe={"odd": True})
    sees(database, odd, place.frame())
    with psycopg.connect(database_url, autocommit=True) as side:
        side.execute("set session_replication_role = replica")
        broken = '{"quality": 7, "letterbox": [], "blob_key": 1, "codec": null, "recipe": 0}'
        side.execute("update outcomes set prepared = %s where prepared->'recipe' ? 'odd'", [broken])
    assert PostgresCameraHealths(database).follow(LIMITS, 100).images == 2
    assert counted(database) == 1


def test_the_sweeper_watches_and_shows_how_many_cameras_are_faulty(database: Database) -> None:
    metrics, stop, clock = Metrics(), threading.Event(), SystemClock()
    queue = PostgresQueue(database, owner="sweep")
    registry = PostgresRegistry(database)
    sweeper = Sweeper(
        PostgresUpkeep(database),
        queue,
        MemoryBlobs(clock),
        CanaryGuard(registry, CanaryBounds(), metrics, get_log()),
        SweepOptions(cameras_every=timedelta(milliseconds=20)),
        clock,
        metrics,
        cameras=CameraWatch(PostgresCameraHealths(database), LIMITS, metrics, get_log()),
    )
    running = threading.Thread(target=sweeper.run, args=(stop,))
    running.start()
    try:
        place = Place()
        sees(database, *[place.frame()] * 5)
        sees(database, *(place.frame() for _ in range(5)), camera=CameraId("dock-8"))
        until(lambda: metrics.value(CAMERA_FAULTS, {"fault": "frozen"}) == 1, 20, "the fault")
        assert metrics.value(CAMERA_FAULTS, {"fault": "dark"}) == 0
        assert metrics.value(CAMERA_FAULT_CHANGES, {"fault": "frozen", "change": "began"}) == 1
        sees(database, *(place.frame() for _ in range(5)))
        until(lambda: metrics.value(CAMERA_FAULTS, {"fault": "frozen"}) == 0, 20, "its end")
        assert metrics.value(CAMERA_FAULT_CHANGES, {"fault": "frozen", "change": "ended"}) == 1
    finally:
        stop.set()
        running.join(30)
        for beside in threading.enumerate():
            if beside.name in ("cameras", "housekeeping"):
                beside.join(30)
        queue.close()
    assert not running.is_alive()
