"""How a process of a box is told to stop, and where it runs."""

import _thread
import ctypes
import os
import signal
import threading
from types import FrameType

#: EX_SOFTWARE: restart me (sysexits.h).
EXIT_RESTART = 70
_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int | None) -> None:
    """Linux: SIGKILL for this process when the supervisor `parent` dies, so that no orphan keeps working (prctl(2))."""
    if parent is None or not hasattr(signal, "SIGKILL") or os.uname().sysname != "Linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before the call
        os._exit(EXIT_RESTART)


def pin(cpu: int | None) -> None:
    """Keeps this process on one of the CPUs it may use; two engines otherwise pick the same one."""
    if cpu is not None and hasattr(os, "sched_setaffinity"):
        allowed = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {allowed[cpu % len(allowed)]})


def stop_on_signals(stop: threading.Event) -> None:
    """The first SIGTERM or Ctrl-C stops in good order; Ctrl-C after that kills.

    Not a second SIGTERM: a service manager sends one to all its processes, and the supervisor then one to its own.
    """

    def told(_signum: int, _: FrameType | None) -> None:
        # In a thread of its own: the signal may find the main thread holding the lock that `set` takes.
        _thread.start_new_thread(stop.set, ())
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, told)
