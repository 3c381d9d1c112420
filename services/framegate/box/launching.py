"""How a box starts its processes: each as a command, or as forks of one process that has loaded the libraries.

Loading them is nearly all that a start costs. Forked, the processes of a box load them once and share their memory, and one
that died is back in an instant. The supervisor asks a server to fork, since it has threads itself and must not.
"""

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO, Final, Protocol

from framegate.box.fork_server import PING
from framegate.environment import ONE_THREAD, child_environment
from framegate.observability.logs import get_log

#: Within which a server loads, answers, and is asked whether it does.
_LOAD_S, _ANSWER_S, _ASK_S = 300.0, 20.0, 10.0
#: Before another is begun in the place of one that was lost.
_PAUSE_S: Final = 1.0
_LONGEST: Final = 4096  #: of its answers, bytes


class Running(Protocol):
    """A process, in the words of `subprocess.Popen`."""

    @property
    def pid(self) -> int:
        """The system's."""
        ...

    def poll(self) -> int | None:
        """The exit code, once it has ended; -N after signal N."""
        ...

    def wait(self, timeout: float | None = None) -> int:
        """The same, once it has ended. Raises `subprocess.TimeoutExpired`."""
        ...

    def terminate(self) -> None:
        """SIGTERM."""
        ...

    def kill(self) -> None:
        """SIGKILL."""
        ...


class Launcher(Protocol):
    """Starts processes of a box."""

    @property
    def output(self) -> IO[bytes] | None:
        """What it has to say itself, until it is closed."""
        ...

    def is_ready(self) -> bool:
        """Whether it can start something now. Whoever waits asks again."""
        ...

    def start(self, arguments: Sequence[str], environment: Mapping[str, str], output: int | None) -> Running:
        """`framegate ARGUMENTS` in a session of its own, so that Ctrl-C in a terminal goes to the supervisor alone.

        It writes to the descriptor `output`, if there is one. Raises OSError: no memory, no process ids left.
        """
        ...

    def close(self) -> None:
        """Nothing is started after it; what still runs may end with it."""
        ...


class Commands:
    """Each as a command of its own. Without `output` it writes where this process writes."""

    output = None

    def __init__(self, command: Sequence[str] = (sys.executable, "-P", "-m", "framegate")) -> None:
        self._command = command

    def is_ready(self) -> bool:
        """See the protocol."""
        return True

    def start(self, arguments: Sequence[str], environment: Mapping[str, str], output: int | None) -> Running:
        """See the protocol."""
        return subprocess.Popen(
            [*self._command, *arguments],
            env={**environment, "FRAMEGATE_PARENT": str(os.getpid())},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )

    def close(self) -> None:
        """See the protocol."""


class Forks:
    """Each as a fork of a server (`fork_server`), which is started again when it dies. Safe for use from several threads.

    The server ends with the thread that began it, and all forks end with the server (prctl(2), PR_SET_PDEATHSIG). Without
    `output` a fork writes where the server does.
    """

    def __init__(self) -> None:
        """Returns at once; the server loads for seconds, and is ready then."""
        reading, self._said = os.pipe()
        self.output: IO[bytes] | None = os.fdopen(reading, "rb")
        self._lock, self._log = threading.RLock(), get_log(worker="box/supervisor")
        self._forks: dict[int, _Fork] = {}  #: that have not ended, as far as is known
        self._closed = self._serves = self._ready = False
        self._asked: float | None = None  #: whether it answers, and when; monotonic seconds
        self._heard = 0.0  #: of the server for the last time, or when it was begun or lost; monotonic seconds
        self._begin()

    def is_ready(self) -> bool:
        """See the protocol. Begins a server in the place of one that was lost."""
        with self._lock:
            if not (self._serves or self._closed) and time.monotonic() > self._heard + _PAUSE_S:
                self._begin()
            self.listen(0)
            return self._ready

    def start(self, arguments: Sequence[str], environment: Mapping[str, str], output: int | None) -> Running:
        """See the protocol. Raises OSError also where the server does not answer, which is ended then."""
        with self._lock:
            if not self.is_ready():
                raise BlockingIOError(errno.EAGAIN, "the fork server is not ready")
            self._ask(arguments, environment, output)
            try:
                while not (answer := self._receive(_ANSWER_S)):
                    pass
            except OSError as error:
                self._lose(f"it does not answer: {error}")
                raise
            if code := answer.get("failed"):
                raise OSError(code, os.strerror(code))
            fork = self._forks[answer["started"]] = _Fork(answer["started"], self)
            return fork

    def close(self) -> None:
        """See the protocol: what still runs is killed. `output` is left to whoever reads it."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._end()
                os.close(self._said)

    def listen(self, seconds: float) -> None:
        """Waits so long at most for what the server tells, and takes in what it has told. Ends one that tells nothing."""
        with self._lock:
            try:
                while self._serves:
                    self._receive(seconds)
                    seconds = 0
            except (TimeoutError, BlockingIOError):
                self._doubt()
            except OSError:
                self._lose("it died")

    def _doubt(self) -> None:
        now = time.monotonic()
        if not self._ready:
            if now - self._heard > _LOAD_S:
                self._lose(f"it has not loaded within {_LOAD_S:.0f} s")
        elif self._asked is not None:  # not by when it was heard: this process may have stood still itself
            if now - self._asked > _ANSWER_S:
                self._lose(f"it has not answered for {_ANSWER_S:.0f} s")
        elif now - self._heard > _ASK_S:
            self._asked = now
            with suppress(OSError):  # it will be missed
                self._control.send(PING)

    def _begin(self) -> None:
        self._control, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-P", "-m", "framegate.box.fork_server", str(its.fileno()), str(os.getpid())]
        with its:
            self._server = subprocess.Popen(
                command,
                env=child_environment(**ONE_THREAD),  # numpy would begin more threads, and then it must not fork
                pass_fds=[its.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=self._said,
                stderr=self._said,
                start_new_session=True,
            )
        self._serves, self._ready, self._asked, self._heard = True, False, None, time.monotonic()

    def _ask(self, arguments: Sequence[str], environment: Mapping[str, str], output: int | None) -> None:
        """Raises OSError: nothing was asked then, and the server is as it was."""
        request = {"arguments": arguments, "environment": environment}
        # In a file: an environment may be larger than a packet.
        with os.fdopen(os.memfd_create("request"), "w+b") as file:
            file.write(json.dumps(request).encode())
            file.seek(0)
            passed = [file.fileno()] if output is None else [file.fileno(), output]
            socket.send_fds(self._control, [str(len(passed)).encode()], passed)

    def _receive(self, seconds: float) -> dict[str, int]:
        """An answer; empty when the server told something else. Raises OSError when it is gone or silent for so long."""
        self._control.settimeout(seconds)
        data = self._control.recv(_LONGEST)
        if not data:
            raise ConnectionResetError("the fork server is gone")
        self._heard, self._asked = time.monotonic(), None
        told: dict[str, int] = json.loads(data)
        if "ready" in told:
            self._ready = True
        elif "ended" not in told:
            return told
        elif fork := self._forks.pop(told["ended"], None):
            fork.code = told["code"]
        return {}

    def _lose(self, why: str) -> None:
        self._log.error("the fork server is lost", action="fork_server_lost", error=why)
        self._end()

    def _end(self) -> None:
        self._serves = self._ready = False
        self._heard = time.monotonic()
        self._control.close()
        self._server.kill()
        with suppress(subprocess.TimeoutExpired):  # of a file system that does not answer
            self._server.wait(5)
        for fork in self._forks.values():  # they were killed with it
            fork.code = -signal.SIGKILL
        self._forks.clear()


class _Fork:
    def __init__(self, pid: int, forks: Forks) -> None:
        self.pid, self._forks = pid, forks
        self.code: int | None = None

    def poll(self) -> int | None:
        if self.code is None:
            self._forks.listen(0)
        return self.code

    def wait(self, timeout: float | None = None) -> int:
        ends = time.monotonic() + (float("inf") if timeout is None else timeout)
        while (code := self.poll()) is None:
            if (left := ends - time.monotonic()) <= 0:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            self._forks.listen(min(left, 0.1))  # another thread may hear of it first
        return code

    def terminate(self) -> None:
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


def quickest() -> Launcher:
    """Begins it: forks where that is safe, which is on Linux. Elsewhere libraries of the system do not survive it."""
    return Forks() if sys.platform == "linux" else Commands()
