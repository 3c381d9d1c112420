import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from framegate.box.supervisor import ChildSpec, Supervisor
from tests.support.box import until

COMMAND = (sys.executable, "-c")


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
    supervisor = Supervisor([child("x", f"open({str(marks)!r}, 'a').write('x')")], None, lambda: None, COMMAND)
    run(supervisor, lambda: until(lambda: marks.exists() and len(marks.read_text()) >= 3, what="three starts"))


def test_children_are_asked_to_stop_and_nothing_is_left() -> None:
    supervisor = Supervisor([child(n, "import time; time.sleep(600)") for n in "ab"], None, lambda: None, COMMAND)
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
    supervisor = Supervisor([child("deaf", code)], None, lambda: None, COMMAND)
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
    supervisor = Supervisor([], None, lambda: seen.append(time.monotonic()), COMMAND)
    run(supervisor, lambda: until(lambda: len(seen) >= 2))
