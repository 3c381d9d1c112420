"""A drill: every fault raises its alarm and no other page, and all is clear once it is repaired.

A real box, a real Prometheus beside it, and the rules of production at a compressed time scale (that their real durations
are right is for tests/integration/test_prometheus_rules.py). The faults come one after the other on the same box; `-s` shows
what fired when.
"""

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import psutil
import psycopg
import pytest
import yaml
from infra.monitoring import rules
from infra.monitoring.objectives import OBJECTIVES

from tests.support.box import RunningBox, running_box, until
from tests.support.docks import Dock, Hall, pictures
from tests.support.prometheus import Fired, Prometheus, every_second, need_prometheus, running_prometheus
from tests.support.prompt import Promptness
from tests.support.receivers import ReceiverServer, answering

#: Two minutes, the shortest range of a rate, are four scrapes. The pages of objectives end half an hour after what they are
#: about: that is a minute.
SCALE: Final = 30
MIB: Final = 1024**2
VOLUME_MB, MIN_FREE_MB, LEFT_MB = 1024, 128, 96
#: Of the camera whose light changes: enough to know what is usual.
LEARNT: Final = 500
WARM_UP: Final = 20
USUAL_S: Final = 0.8
#: For what takes a minute or less where nothing else runs.
PATIENCE_S: Final = 180
#: It is calm when nothing fires for so long: a scrape that was missed lets an alarm begin to wait anew, for ten seconds here.
CALM_S: Final = 12
#: What slow moments do to pages of objectives.
REMEMBERED_S: Final = 90

#: Alarms of objectives look back six hours and longer as tickets, on what all faults together have cost: such end with none.
BUDGETS: Final = {objective.alarm.removeprefix("Framegate") for objective in OBJECTIVES}
#: What a machine raises by itself that is busy with other things: times, and scrapes that nobody answers within a second.
BUSY: Final = frozenset(
    {"AcceptLatency", "QueueWait", "QueueBehind", "VerdictLatency", "DependencySlow", "StageDown", "TargetDown"}
)
#: By other tests: nothing is said about these, then.
ACCOMPANIED: Final = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")) > 1
#: What follows when images stand still for a while.
STOOD: Final = frozenset({"QueueWait", "VerdictLatency", "QueueBehind", "MessagesLost"})


@dataclass
class Drill:
    """What the faults are done to."""

    box: RunningBox
    prometheus: Prometheus
    receiver: ReceiverServer
    docks: dict[str, Dock]
    promptness: Promptness

    def endures(
        self, fault: AbstractContextManager[None], alarms: set[str], follows: frozenset[str] = frozenset()
    ) -> None:
        """The fault raises `alarms` (with what they are about), perhaps what follows, and nothing else; then it is calm."""
        self._wait(self._is_calm, "calm before the fault")
        began = time.monotonic()
        with fault:
            self._wait(lambda: self._has_raised(alarms, began), f"all of {alarms}")
            raised = time.monotonic()
        self._wait(self._is_calm, "calm after the fault")
        ended = time.monotonic()
        fired, lapses = self._fired(ended - began), self.promptness.lapses(began)
        times = f"after {raised - began:.0f} s; calm {ended - raised:.0f} s later"
        print(f"\n{', '.join(sorted(alarms))}: {times}; {[told(one) for one in sorted(fired)]}; {lapses=}")
        allowed = follows | self._excused(began)
        assert not {one for one in fired if told(one) not in alarms and one.name not in allowed}, f"{lapses=}"

    def refused(self) -> int:
        """How many uploads were answered 503."""
        return sum(dock.answers[httpx.codes.SERVICE_UNAVAILABLE] for dock in self.docks.values())

    def _fired(self, within_s: float) -> set[Fired]:
        found = self.prometheus.fired(max(1.0, within_s))
        return {one for one in found if one.severity == "page" or one.name not in BUDGETS}

    def _excused(self, since: float) -> frozenset[str]:
        return BUSY if ACCOMPANIED or self.promptness.lapses(since) else frozenset()

    def _has_raised(self, alarms: set[str], since: float) -> bool:
        return {told(one) for one in self._fired(time.monotonic() - since)} >= alarms

    def _is_calm(self) -> bool:
        """But for what the machine is to blame for."""
        return {one.name for one in self._fired(CALM_S)} <= self._excused(time.monotonic() - REMEMBERED_S)

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        try:
            until(condition, PATIENCE_S, what)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self._fired(CALM_S)}\n{self.box.run('drift', 'status')}") from error


def told(one: Fired) -> str:
    """Its name, and what it is about."""
    return f"{one.name} {one.about}".strip()


def tell_of_each_shipment(box: RunningBox, camera: str, folder: Path) -> None:
    """Every image of this camera that fails or is left to people is an incident of its own, so that somebody is told."""
    policy = yaml.safe_load(box.run("policy", "show"))
    damage = {"when": ["fail", "review"], "group_by": ["metadata.shipment"]}
    policy.setdefault("cameras", {})[camera] = {"alerts": {"damage": damage}}
    file = folder / "policy.yaml"
    file.write_text(yaml.safe_dump(policy), "utf-8")
    box.run("policy", "apply", str(file))


@contextmanager
def volume(place: Path) -> Iterator[None]:
    """A small one, if this account may mount it; else it is a folder like any other."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={VOLUME_MB}m,mode=0755", "framegate-drill", str(place)]
    mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        yield
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture(scope="module")
def drill(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drill]:
    """A box that has learnt what is usual for its cameras, and that nothing is wrong with."""
    need_prometheus()
    folder = tmp_path_factory.mktemp("drill")
    assert rules.main(["--out", str(folder), "--scale", str(SCALE)]) == 0
    place = folder / "volume"
    place.mkdir()
    with ExitStack() as closing:
        closing.enter_context(volume(place))
        receiver = ReceiverServer()
        closing.callback(receiver.close)
        box = closing.enter_context(running_box(place / "data", **settings(receiver)))
        frames = pictures()
        docks = {
            "dock-1": Dock("dock-1", USUAL_S, frames),
            "dock-2": Dock("dock-2", USUAL_S, frames, again=True),
            "dock-3": Dock("dock-3", USUAL_S, frames, metadata={"shipment": "{}"}),
        }
        for camera in docks:
            box.run("cameras", "add", camera)
        tell_of_each_shipment(box, "dock-3", folder)
        box.run("hooks", "add", "--url", f"http://127.0.0.1:{receiver.port}/alerts")
        docks["dock-1"].hurry(box, WARM_UP)
        for count in (len(frames), LEARNT):  # once they have an outcome, it is copied
            docks["dock-2"].hurry(box, count)
            until(lambda: box.in_flight() == 0, PATIENCE_S, "an outcome of everything that was sent")
        until(
            lambda: '"picture": "20' in box.run("drift", "status", "dock-2", "--json", ok=False),
            PATIENCE_S,
            "a reference",
        )
        config = every_second(box, sorted((folder / "rules").glob("*.yml")))
        prometheus = closing.enter_context(running_prometheus(folder, config))
        promptness = closing.enter_context(Promptness())
        closing.enter_context(Hall(box, *docks.values()))
        yield Drill(box, prometheus, receiver, docks, promptness)


def settings(receiver: ReceiverServer) -> dict[str, str]:
    """Of a box that finds out within seconds what takes minutes or days elsewhere."""
    return {
        "FRAMEGATE_API__MIN_FREE_MB": str(MIN_FREE_MB),
        "FRAMEGATE_HOOKS__ALLOW": f"http://127.0.0.1:{receiver.port}",
        "FRAMEGATE_SWEEP__EVERY_S": "1",
        "FRAMEGATE_CAMERAS__WARM_UP": str(WARM_UP),
        "FRAMEGATE_CAMERAS__RECOVERY": "3",
        "FRAMEGATE_DRIFT__WINDOW_IMAGES": "50",
        "FRAMEGATE_DRIFT__WINDOW_S": "0",
        "FRAMEGATE_DRIFT__LEARN_IMAGES": "500",
        "FRAMEGATE_DRIFT__LEARN_DAYS": "0.000001",
    }


@contextmanager
def sees(dock: Dock, frames: list[bytes], every_s: float | None = None) -> Iterator[None]:
    """Other pictures, and perhaps more often, until the end."""
    usual = dock.frames
    dock.frames, dock.every_s = frames, every_s or dock.every_s
    try:
        yield
    finally:
        dock.frames = usual


@contextmanager
def answers_500(receiver: ReceiverServer) -> Iterator[None]:
    usual, receiver.behaviour = receiver.behaviour, answering(500)
    try:
        yield
    finally:
        receiver.behaviour = usual


@contextmanager
def dead(box: RunningBox, stage: str) -> Iterator[None]:
    """The processes of a stage, killed as often as they are started again."""
    over = threading.Event()

    def kill() -> None:
        while not over.wait(0.1):
            for name, process in box.processes().items():
                if name.startswith(stage):
                    with suppress(psutil.Error):  # it is gone already
                        process.kill()

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    try:
        yield
    finally:
        over.set()
        killer.join(10)


@contextmanager
def full(drill: Drill) -> Iterator[None]:
    """The volume of the data, but for a rest in which the database can go on."""
    filler = drill.box.data.parent / "filler"
    try:
        with filler.open("wb") as file:
            space = os.statvfs(filler)
            os.posix_fallocate(file.fileno(), 0, space.f_bavail * space.f_frsize - LEFT_MB * MIB)
        before = drill.refused()
        yield
        until(lambda: drill.refused() > before, 30, "a refusal")
    finally:
        filler.unlink()


#: One statement of five, so that enough calls go on for a quantile of them.
SLOW: Final = """
create function drill_slow() returns trigger language plpgsql as $$
begin
  if random() < 0.2 then perform pg_sleep(1.5); end if;
  return null;
end $$;
create trigger drill_slow before insert on images for each statement execute function drill_slow();
"""
QUICK: Final = "drop trigger drill_slow on images; drop function drill_slow()"


@contextmanager
def slow_database(box: RunningBox) -> Iterator[None]:
    with psycopg.connect(box.database_url(), autocommit=True) as connection:
        connection.execute(SLOW)
        try:
            yield
        finally:
            connection.execute(QUICK)


# In the order of the file: those that cost images their time come last, as objectives remember it.
@pytest.mark.slow
@pytest.mark.timeout(5 * PATIENCE_S)
class TestFaults:
    def test_a_blind_camera(self, drill: Drill) -> None:
        drill.endures(sees(drill.docks["dock-1"], pictures(light=0.02)), {"CameraFault dark"})

    def test_other_light(self, drill: Drill) -> None:
        dimmed = sees(drill.docks["dock-2"], pictures(light=0.6), every_s=0.2)
        drill.endures(dimmed, {"Drift camera"}, frozenset({"Drift"}))  # the model sees less in such pictures
        drill.docks["dock-2"].every_s = USUAL_S

    def test_a_receiver_that_is_broken(self, drill: Drill) -> None:
        drill.endures(answers_500(drill.receiver), {"HookFailing webhook"})

    def test_inference_that_dies_whenever_it_is_started(self, drill: Drill) -> None:
        follows = {"RestartLoop", "StageStalled", "TargetDown", "AttemptsFailing"}
        drill.endures(dead(drill.box, "inference"), {"StageDown inference"}, STOOD | follows)

    def test_a_disk_that_is_full(self, drill: Drill) -> None:
        if not os.path.ismount(drill.box.data.parent):
            pytest.skip("mounting a small volume is not permitted here (root may)")
        drill.endures(full(drill), {"DiskFull data"}, frozenset({"UploadErrors", "DiskFilling", "DiskLow"}))

    def test_a_database_that_is_slow(self, drill: Drill) -> None:
        alarms = {"DependencySlow database", "AcceptLatency"}
        drill.endures(slow_database(drill.box), alarms, STOOD)
