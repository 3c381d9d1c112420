"""`kill -9` of everything, while images flow: nothing is lost, decided twice, or blamed on an innocent."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest

from framegate.box.logfiles import log_files
from tests.support.box import RunningBox, running_box, until
from tests.support.pictures import jpeg

IMAGES = 200


class Camera:
    """Uploads with an Idempotency-Key until it is told 202, as a good camera does."""

    def __init__(self, box: RunningBox, count: int, seed: int = 0) -> None:
        self.box, self.count, self.seed = box, count, seed
        self.accepted: dict[int, str] = {}
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def wait_for(self, more: int) -> None:
        goal = min(self.count, len(self.accepted) + more)
        until(lambda: len(self.accepted) >= goal, 120, "uploads")

    def join(self) -> None:
        self._thread.join(240)
        assert not self._thread.is_alive(), "uploads did not finish"

    def _run(self) -> None:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(self._upload, range(self.count)))

    def _upload(self, i: int) -> None:
        data, deadline = jpeg(self.seed + i, 160, 120), time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                answer = self.box.upload(data, headers={"Idempotency-Key": f"{self.seed}-{i}"})
            except httpx.HTTPError:
                time.sleep(0.1)
                continue
            if answer.status_code == 202:
                self.accepted[i] = answer.json()["id"]
                return
            assert answer.status_code in (409, 429, 500, 502, 503), answer.text
            time.sleep(0.1)


def assert_all_is_well(box: RunningBox, expected: int, within_s: float = 120) -> None:
    def quiet() -> bool:
        try:
            return box.in_flight() == 0
        except httpx.HTTPError:
            return False

    until(quiet, within_s, "every outcome")
    report = json.loads(box.run("verify", "--json", ok=False))
    assert report["holds"], report
    assert report["in_flight"] == 0
    assert report["accepted"] == expected
    assert report["failed"] == 0, "an innocent was convicted"
    assert report["decided"] == expected


def fast(**more: str) -> dict[str, str]:
    """Settings with which nothing waits long."""
    return {
        "FRAMEGATE_SWEEP__OVERDUE_S": "10",
        "FRAMEGATE_SWEEP__EVERY_S": "1",
        "FRAMEGATE_WORKER__LEASE_S": "15",
        **more,
    }


@pytest.mark.timeout(400)
def test_killing_each_kind_of_process_loses_nothing(tmp_path: Path) -> None:
    with running_box(tmp_path / "data", **fast()) as box:
        box.run("cameras", "add", "dock-1")
        camera = Camera(box, IMAGES)
        camera.start()
        kinds = ("preprocess", "inference-0", "gate", "decoder", "api", "postgres")
        for name in (*kinds, "decoder", "fork-server", "inference-0"):
            camera.wait_for(12)
            box.kill(name)
        camera.join()
        assert len(set(camera.accepted.values())) == IMAGES
        assert_all_is_well(box, IMAGES)
        assert box.stop() == 0


@pytest.mark.timeout(400)
def test_killing_the_supervisor_leaves_no_orphan_and_loses_nothing(tmp_path: Path) -> None:
    with running_box(tmp_path / "data", **fast()) as box:
        camera = Camera(box, 60)
        camera.start()
        until(lambda: len(camera.accepted) >= 20, what="uploads")
        assert box.process is not None
        children = psutil.Process(box.process.pid).children(recursive=True)
        box.process.kill()
        box.process.wait(10)
        _, alive = psutil.wait_procs([c for c in children if "postgres" not in _name(c)], timeout=5)
        assert alive == []
        box.start()
        camera.join()
        assert_all_is_well(box, 60)


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.Error:
        return "gone"


@pytest.mark.timeout(300)
def test_a_truncated_queue_costs_time_but_no_image(tmp_path: Path) -> None:
    with running_box(tmp_path / "data", **fast(FRAMEGATE_SWEEP__OVERDUE_S="3")) as box:
        camera = Camera(box, 60)
        camera.start()
        until(lambda: len(camera.accepted) >= 20, what="uploads")
        with psycopg.connect(box.database_url(), autocommit=True) as connection:
            connection.execute("TRUNCATE queue_messages")
        camera.join()
        with psycopg.connect(box.database_url(), autocommit=True) as connection:
            connection.execute("TRUNCATE queue_messages")
        assert_all_is_well(box, 60)


@pytest.mark.timeout(300)
def test_sigterm_in_the_middle_stops_within_25_seconds_and_the_next_start_goes_on(tmp_path: Path) -> None:
    with running_box(tmp_path / "data", **fast()) as box:
        camera = Camera(box, 60)
        camera.start()
        until(lambda: len(camera.accepted) >= 20, what="uploads")
        assert box.stop(25) == 0
        box.start()
        until(lambda: len(camera.accepted) >= 40, what="uploads")
        stages, before = _stages(box), len(_stopped(box))
        # As a service manager tells all processes of a service; the supervisor, then, last.
        for process in [*stages.values(), box.processes()["fork-server"]]:
            process.terminate()
        assert box.stop(25) == 0
        assert sorted(_stopped(box)[before:]) == sorted(f"box/{name}" for name in stages), "some were cut short"
        box.start()
        camera.join()
        assert_all_is_well(box, 60)


def _stages(box: RunningBox) -> dict[str, psutil.Process]:
    others = ("fork-server", "decoder", "postgres")
    return {name: process for name, process in box.processes().items() if name not in others}


def _stopped(box: RunningBox) -> list[str]:
    """The workers that said so, in their order."""
    lines = map(json.loads, log_files(box.data)[-1].read_text("utf-8").splitlines())
    return [line["worker"] for line in lines if line["action"] == "stopped"]
