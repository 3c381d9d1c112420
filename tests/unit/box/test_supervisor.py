import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from framegate.box.launching import Commands
from framegate.box.supervisor import ChildSpec, Supervisor
from tests.support.box import until

COMMAND = Commands((sys.executable, "-c"))


def child(name: str, code: str) -> ChildSpec:
    return ChildSpec(name, (code,), dict(os.environ))


def run(supervisor: Supervisor, until_then: Callable[[], object]) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=supervisor.run, args=(stop,))
    thread.start()
    try:
        until_then()
    finally:
        stop.set()
        thread.join(30)


def test_a_child_that_dies_is_started_again(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    started = Counter[str]()
    dies = child("x", f"open({str(marks)!r}, 'a').write('x')")
    supervisor = Supervisor([dies], COMMAND, None, lambda: None, on_start=lambda name: started.update([name]))
    run(supervisor, lambda: until(lambda: marks.exists() and len(marks.read_text()) >= 3, what="three starts"))
    assert started.keys() == {"x"}
    assert started["x"] >= 3


def test_children_are_asked_to_stop_and_nothing_is_left() -> None:
    supervisor = Supervisor([child(n, "import time; time.sleep(600)") for n in "ab"], COMMAND, None, lambda: None)
    pids: list[int] = []

    def both_run() -> None:
        until(lambda: len(supervisor.pids()) == 2)
        pids.extend(supervisor.pids().values())

    run(supervisor, both_run)
    assert supervisor.pids() == {}
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_a_child_that_ignores_the_request_is_killed(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    code = f"import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); open({str(ready)!r}, 'w'); time.sleep(600)"
    supervisor = Supervisor([child("deaf", code)], COMMAND, None, lambda: None)
    stop = threading.Event()
    thread = threading.Thread(target=supervisor.run, args=(stop,), daemon=True)
    thread.start()
    until(ready.exists)
    pid = supervisor.pids()["deaf"]
    supervisor.stop(timeout_s=0.2)
    assert not Path(f"/proc/{pid}").exists()
    stop.set()
    thread.join(30)


def test_what_is_not_a_child_is_looked_after_as_well() -> None:
    seen: list[float] = []
    supervisor = Supervisor([], COMMAND, None, lambda: seen.append(time.monotonic()))
    run(supervisor, lambda: until(lambda: len(seen) >= 2))


def test_a_program_that_cannot_be_started_now_is_tried_again(tmp_path: Path) -> None:
    program, mark = tmp_path / "program", tmp_path / "mark"
    rounds: list[float] = []
    specs = [ChildSpec("late", (), dict(os.environ))]
    supervisor = Supervisor(specs, Commands((str(program),)), None, lambda: rounds.append(time.monotonic()))

    def appears() -> None:
        until(lambda: rounds, what="a first round")
        draft = tmp_path / "draft"
        draft.write_text(f"#!/bin/sh\necho x > {mark}\nexec sleep 600\n")
        draft.chmod(0o700)
        draft.rename(program)
        until(mark.exists)

    run(supervisor, appears)


def test_a_death_by_a_signal_without_a_name_is_a_death_like_any_other(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    code = f"import os, signal; open({str(marks)!r}, 'a').write('x'); os.kill(os.getpid(), signal.SIGRTMIN + 1)"
    supervisor = Supervisor([child("x", code)], COMMAND, None, lambda: None)
    run(supervisor, lambda: until(lambda: marks.exists() and len(marks.read_text()) >= 2, what="a second start"))


def test_a_disk_error_while_looking_after_the_database_is_not_the_end_of_the_box() -> None:
    looks: list[float] = []

    def watch() -> None:
        looks.append(time.monotonic())
        raise OSError(28, "No space left on device")

    run(Supervisor([], COMMAND, None, watch), lambda: until(lambda: len(looks) >= 2))


def test_nothing_is_started_once_the_box_stops(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    code = f"open({str(marks)!r}, 'a').write('x'); import time; time.sleep(600)"
    rounds: list[float] = []
    supervisor = Supervisor([child("x", code)], COMMAND, None, lambda: rounds.append(time.monotonic()))

    def stop_from_elsewhere() -> None:
        until(lambda: marks.exists() and marks.read_text() == "x")
        supervisor.stop()
        seen = len(rounds)
        until(lambda: len(rounds) > seen + 1)

    run(supervisor, stop_from_elsewhere)
    assert marks.read_text() == "x"
