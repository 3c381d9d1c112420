"""The fork server of a box, and those who ask it."""

import errno
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from framegate.box.launching import Forks, Running
from framegate.box.supervisor import ChildSpec, Supervisor
from tests.support.box import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a box forks on Linux only")

#: What a process needs to find its programs; nothing of the one that runs the tests.
PLAIN = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    """For all: it recovers from what they do to it."""
    made = Forks()
    assert made.output is not None
    with made.output, closing(made):
        yield made


@pytest.fixture
def deaf() -> Iterator[str]:
    """A database that takes connections and says nothing: whoever wants it waits."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"postgresql://127.0.0.1:{server.getsockname()[1]}/nothing"


def server_of(forks: Forks) -> psutil.Process:
    return psutil.Process(forks._server.pid)


def said(forks: Forks, *arguments: str, **environment: str) -> tuple[int, str]:
    """The exit code, and everything that was written up to the end."""
    until(forks.is_ready, what="a server")
    reading, writing = os.pipe()
    running = forks.start(arguments, PLAIN | environment, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        text = pipe.read().decode()
    return running.wait(30), text


def waiting(forks: Forks, database: str) -> Running:
    """A process that goes on until it is told to end."""
    until(forks.is_ready, what="a server")
    running = forks.start(["run", "sweep"], {**PLAIN, "DATABASE_URL": database, "FRAMEGATE_WORKER_NAME": "here"}, None)
    until(lambda: "[here]" in " ".join(psutil.Process(running.pid).cmdline()), what="a title")
    return running


def test_a_fork_does_and_says_what_the_command_does(forks: Forks) -> None:
    for arguments in (["version"], ["run", "nothing"], ["run", "ingest", "gate"]):
        command = [sys.executable, "-P", "-m", "framegate", *arguments]
        pipe = subprocess.PIPE
        alone = subprocess.run(
            command, env=PLAIN, stdout=pipe, stderr=subprocess.STDOUT, text=True, timeout=60, check=False
        )
        assert said(forks, *arguments) == (alone.returncode, alone.stdout)


def test_a_fork_has_the_environment_that_it_was_given_and_no_other(
    forks: Forks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRAMEGATE_LOG_LEVEL", "NONSENSE")
    assert said(forks, "settings")[0] == 0
    code, text = said(forks, "settings", FRAMEGATE_LOG_LEVEL="MUTE")
    assert (code, "MUTE" in text) == (1, True)
    assert said(forks, "settings", LARGE="é" * 300_000)[0] == 0


def test_the_end_of_a_fork_is_told_with_its_signal_to_everybody_who_asks(forks: Forks, deaf: str) -> None:
    first, second = waiting(forks, deaf), waiting(forks, deaf)
    assert (first.poll(), second.poll()) == (None, None)
    told: list[int] = []
    asking = [threading.Thread(target=lambda: told.append(first.wait(30))) for _ in range(3)]
    for thread in asking:
        thread.start()
    first.kill()
    for thread in asking:
        thread.join(30)
    assert told == [-signal.SIGKILL] * 3
    assert second.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        second.wait(0.05)


def test_where_the_server_is_killed_its_forks_end_and_the_next_start_has_another(forks: Forks, deaf: str) -> None:
    running, server = waiting(forks, deaf), server_of(forks)
    server.kill()
    assert running.wait(30) == -signal.SIGKILL
    until(lambda: not psutil.pid_exists(running.pid), what="its end")
    assert said(forks, "version")[0] == 0
    assert server_of(forks).pid != server.pid


def test_a_server_that_stands_still_is_given_up_whether_it_is_asked_or_not(
    forks: Forks, deaf: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for is_asked in (True, False):
        with monkeypatch.context() as short:
            running = waiting(forks, deaf)
            server_of(forks).suspend()
            short.setattr("framegate.box.launching._ANSWER_S", 0.3)
            if is_asked:
                with pytest.raises(TimeoutError):
                    forks.start(["version"], PLAIN, None)
            else:
                short.setattr("framegate.box.launching._ASK_S", 0.1)
            assert until(running.poll) == -signal.SIGKILL
    assert said(forks, "version")[0] == 0


def test_a_server_that_says_nothing_unasked_answers_and_stays(forks: Forks, monkeypatch: pytest.MonkeyPatch) -> None:
    until(forks.is_ready, what="a server")
    server = server_of(forks)
    monkeypatch.setattr("framegate.box.launching._ASK_S", 0.0)
    for _ in range(3):
        heard = forks._heard
        until(lambda before=heard: forks.is_ready() and forks._heard > before, what="an answer")
    assert server_of(forks) == server


def test_nothing_is_started_after_the_end() -> None:
    forks = Forks()
    assert forks.output is not None
    with forks.output, closing(forks):
        pass
    assert not forks.is_ready()
    with pytest.raises(BlockingIOError):
        forks.start(["version"], PLAIN, None)
    forks.close()


def test_a_box_ends_though_its_server_stands_still(deaf: str) -> None:
    forks = Forks()
    assert forks.output is not None
    environment = {**PLAIN, "DATABASE_URL": deaf, "FRAMEGATE_WORKER_NAME": "here"}
    supervisor = Supervisor([ChildSpec("x", ("run", "sweep"), environment)], forks, None, lambda: None)
    stop = threading.Event()
    thread = threading.Thread(target=supervisor.run, args=(stop,), daemon=True)
    thread.start()
    until(supervisor.pids, what="a start")
    pid = supervisor.pids()["x"]
    server_of(forks).suspend()
    supervisor.stop(timeout_s=0.1)
    until(lambda: not psutil.pid_exists(pid), what="the end of the fork")
    stop.set()
    thread.join(30)
    assert not thread.is_alive()
    with forks.output as output:
        output.read()  # to the end, which it would not have if anybody still ran


def test_the_server_ends_at_once_with_the_one_that_began_it_even_while_it_loads() -> None:
    code = "from framegate.box.launching import Forks; import os; print(Forks()._server.pid, flush=True); os._exit(3)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 3
    until(lambda: not psutil.pid_exists(int(done.stdout)), what="its end")


def test_the_last_words_of_a_server_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "typer.py"
    broken.write_text("raise RuntimeError('a broken library')", "utf-8")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    forks = Forks()
    assert forks.output is not None
    with forks.output as output:
        with closing(forks):
            forks._server.wait(30)
            assert not forks.is_ready()
        assert "RuntimeError: a broken library" in output.read().decode()


#: In a process of its own: `serve` takes in all children that end.
REFUSED = """
import os, socket, threading
from framegate.box import fork_server

errors = [11, 12]
def fork():
    raise OSError(errors.pop(0), "no")
os.fork = fork
ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
def ask():
    with ours:
        for descriptors in ([0], [0], []):
            socket.send_fds(ours, [b"1"], descriptors)
            print(ours.recv(1000).decode())
asking = threading.Thread(target=ask)
asking.start()
print(fork_server.serve(its))
asking.join()
"""


def test_a_process_that_cannot_be_made_is_told_and_the_next_request_is_served() -> None:
    done = subprocess.run([sys.executable, "-c", REFUSED], capture_output=True, text=True, timeout=60, check=True)
    told = [f'{{"failed": {code}}}' for code in (errno.EAGAIN, errno.ENOMEM, errno.EMFILE)]
    assert done.stdout.splitlines() == [*told, "None"]


def test_a_start_that_fails_raises_and_costs_the_others_nothing(
    forks: Forks, deaf: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = waiting(forks, deaf)
    receive = forks._receive
    answers: list[dict[str, Any]] = [{"failed": errno.EAGAIN}]
    with monkeypatch.context() as patched:
        patched.setattr(forks, "_receive", lambda seconds: receive(seconds) and answers.pop())
        with pytest.raises(BlockingIOError):
            forks.start(["version"], PLAIN, None)
    assert running.poll() is None
