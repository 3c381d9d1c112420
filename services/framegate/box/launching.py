"""How a box starts its processes: each as a command, or as forks of one process that has loaded the libraries.

Loading them is nearly all that a start costs. Forked, the processes of a box load them once and share their memory, and one
that died is back in an instant. It is multiprocessing's fork server, since the supervisor has threads and must not fork.
"""

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from typing import Final, Protocol

from framegate.box.forked import become
from framegate.settings import compute_in_one_thread

#: What the server loads; the last makes it ready to fork.
LOADED: Final = ("framegate.cli.run", "framegate.bootstrap.loaded", "framegate.box.fork_server")
#: Before, any account of the host could have a fork server run anything (CVE-2022-42919).
_SAFE_SINCE: Final = (3, 11, 1)


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

    def start(self, arguments: Sequence[str], environment: Mapping[str, str], output: int | None) -> Running:
        """`framegate ARGUMENTS` in a session of its own, so that Ctrl-C in a terminal goes to the supervisor alone.

        It writes to the descriptor `output`, or where this process writes. Raises OSError: no memory, no process ids left.
        """
        ...


class Commands:
    """Each as a command of its own."""

    def __init__(self, command: Sequence[str] = (sys.executable, "-m", "framegate")) -> None:
        self._command = command

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


class Forks:
    """Each as a fork. For the main thread of a process: the server ends with it, and with the server all that it forked."""

    def __init__(self) -> None:
        """Returns at once; the server loads for seconds, and a first start waits for it."""
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(LOADED))
        compute_in_one_thread()  # with a second thread it could not fork safely
        forkserver.ensure_running()

    def start(self, arguments: Sequence[str], environment: Mapping[str, str], output: int | None) -> Running:
        """See the protocol."""
        passed = None if output is None else Connection(os.dup(output), readable=False)
        process = self._context.Process(target=become, args=(tuple(arguments), dict(environment), passed))
        try:
            process.start()
        except EOFError as error:
            raise OSError("the fork server died") from error
        finally:
            if passed is not None:
                passed.close()
        return _Fork(process)


class _Fork:
    def __init__(self, process: ForkServerProcess) -> None:
        self._process = process
        self.pid = process.pid or 0  # it was started: there is one

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if (code := self._process.exitcode) is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        return code

    def terminate(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()


def quickest() -> Launcher:
    """Forks, where that is safe: on other systems than Linux, libraries of the system do not survive it."""
    return Forks() if sys.platform == "linux" and sys.version_info >= _SAFE_SINCE else Commands()
