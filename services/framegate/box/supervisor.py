"""The supervisor of a box: starts the processes in order, restarts what dies, stops everything in good order."""

import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

from framegate.box.launching import Launcher, Running
from framegate.kernel.errors import Transient
from framegate.observability.logs import Log, get_log

_FIRST_BACKOFF_S, _LONGEST_BACKOFF_S = 0.2, 5.0
#: A child that ran this long has recovered: its next restart is quick again.
_HEALTHY_S = 30.0
_TICK_S = 0.1
#: Until a process that was killed has ended. If it has not, whoever started it ends it yet, or nobody can.
_KILLED_S = 5.0


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """A process of the box."""

    name: str
    arguments: tuple[str, ...]  #: of `framegate`
    environment: dict[str, str]


@dataclass(slots=True)
class _Child:
    spec: ChildSpec
    process: Running | None = None
    started: float = 0.0
    failures: int = 0
    not_before: float = 0.0


class Supervisor:
    """Owns its children. `watch` is called about once a second, to keep what is not a child (Postgres) alive.

    `follow` takes what each child writes, and what the launcher says itself; None, for one that says nothing: they write where
    this process does. `on_start` is told the name of each child that was started, the first time and again.
    """

    def __init__(
        self,
        specs: Sequence[ChildSpec],
        launcher: Launcher,
        follow: Callable[[str, IO[bytes]], object] | None,
        watch: Callable[[], object],
        on_start: Callable[[str], object] = lambda _name: None,
    ) -> None:
        self._launcher, self._on_start = launcher, on_start
        self._children = [_Child(spec) for spec in specs]
        self._follow, self._watch = follow, watch
        self._stopping = False
        self._log: Log = get_log(worker="box/supervisor")

    def pids(self) -> dict[str, int]:
        """The process ids of the children that run."""
        return {c.spec.name: c.process.pid for c in self._children if c.process and c.process.poll() is None}

    def run(self, stop: threading.Event) -> None:
        """Blocks until `stop`, then stops the children."""
        watched = 0.0
        try:
            if self._follow is not None and self._launcher.output is not None:
                self._follow("fork-server", self._launcher.output)
            while not stop.is_set():
                for child in self._children:
                    if not (self._stopping or stop.is_set()):
                        self._tend(child)
                if time.monotonic() - watched > 1.0:
                    self._look_after()
                    watched = time.monotonic()
                stop.wait(_TICK_S)
        finally:
            self.stop()

    def _look_after(self) -> None:
        try:
            self._watch()
        except (Transient, OSError) as error:
            # Not the end of the box: the workers wait with their leases, and the next look tries again.
            self._log.error("the database cannot be restarted", action="database_restart_failed", error=str(error))

    def _tend(self, child: _Child) -> None:
        now = time.monotonic()
        if child.process is None:
            if now >= child.not_before:
                try:
                    if self._launcher.is_ready():
                        self._start(child)
                except OSError as error:  # no memory or no process ids left
                    self._wait_before_next(child, f"not started: {error}")
            return
        code = child.process.poll()
        if code is None:
            return
        if now - child.started > _HEALTHY_S:
            child.failures = -1
        self._wait_before_next(child, f"signal {_signal_name(-code)}" if code < 0 else f"exit code {code}")

    def _wait_before_next(self, child: _Child, ended: str) -> None:
        child.failures += 1
        pause = min(_LONGEST_BACKOFF_S, _FIRST_BACKOFF_S * 2.0 ** min(child.failures, 10)) * random.uniform(0.5, 1)  # noqa: S311
        child.process, child.not_before = None, time.monotonic() + pause
        self._log.warning(
            "a process died", action="child_died", child=child.spec.name, ended=ended, retry_in_s=round(pause, 2)
        )

    def _start(self, child: _Child) -> None:
        name, writing = child.spec.name, None
        try:
            if self._follow is not None:
                reading, writing = os.pipe()
                # First: where there is no thread left for it, nothing is started.
                self._follow(name, os.fdopen(reading, "rb"))
            process = self._launcher.start(child.spec.arguments, child.spec.environment, writing)
        finally:
            if writing is not None:
                os.close(writing)  # the child alone holds this end now: what it says ends with it
        child.process, child.started = process, time.monotonic()
        self._on_start(name)
        self._log.info("a process was started", action="child_started", child=name, pid=process.pid)

    def stop(self, timeout_s: float = 22.0) -> None:
        """SIGTERM to all at once, SIGKILL to what still runs after `timeout_s`. Nothing is started after it."""
        self._stopping = True
        running = [(c.spec.name, c.process) for c in self._children if c.process is not None]
        for _, process in running:
            if process.poll() is None:
                process.terminate()
        for name, process in _still_running(running, timeout_s):
            self._log.error("a process was killed: it did not stop in time", action="child_killed", child=name)
            process.kill()
        _still_running(running, _KILLED_S)
        for child in self._children:
            child.process = None
        self._launcher.close()


def _still_running(processes: Sequence[tuple[str, Running]], within_s: float) -> list[tuple[str, Running]]:
    """Those that have not ended after so long."""
    deadline, left = time.monotonic() + within_s, []
    for name, process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            left.append((name, process))
    return left


def _signal_name(number: int) -> str:
    with suppress(ValueError):  # most real-time signals have no name
        return signal.Signals(number).name
    return str(number)
