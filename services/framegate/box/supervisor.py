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

    `follow` takes what each child writes; None: they write where this process does. `on_start` is told the name of each
    child that was started, the first time and again.
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
        if self._follow is not None and self._launcher.output is not None:
            self._follow("fork-server", self._launcher.output)
        try:
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
        name, reading = child.spec.name, -1
        if self._follow is None:
            process = self._launcher.start(child.spec.arguments, child.spec.environment, None)
        else:
            reading, writing = os.pipe()
            try:
                process = self._launcher.start(child.spec.arguments, child.spec.environment, writing)
            except OSError:
                os.close(reading)
                raise
            finally:
                os.close(writing)  # the child alone holds this end now: what it says ends with it
        child.process, child.started = process, time.monotonic()
        self._on_start(name)
        if self._follow is not None:
            self._follow(name, os.fdopen(reading, "rb"))
        self._log.info("a process was started", action="child_started", child=name, pid=process.pid)

    def stop(self, timeout_s: float = 22.0) -> None:
        """SIGTERM to all at once, SIGKILL to what still runs after `timeout_s`. Nothing is started after it."""
        self._stopping = True
        deadline = time.monotonic() + timeout_s
        running = [c for c in self._children if c.process is not None]
        for child in running:
            if child.process is not None and child.process.poll() is None:
                child.process.terminate()
        for child in running:
            if child.process is None:
                continue
            try:
                child.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self._log.error(
                    "a process was killed: it did not stop in time", action="child_killed", child=child.spec.name
                )
                child.process.kill()
                with suppress(subprocess.TimeoutExpired):  # whoever started it may end it yet
                    child.process.wait(5)
            child.process = None
        self._launcher.close()


def _signal_name(number: int) -> str:
    with suppress(ValueError):  # most real-time signals have no name
        return signal.Signals(number).name
    return str(number)
