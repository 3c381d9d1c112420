"""What a fork of the fork server does first: it becomes a command of its own."""

import os
import runpy
import signal
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection

from framegate.settings import take_environment


def become(arguments: Sequence[str], environment: Mapping[str, str], output: Connection | None) -> None:
    """`framegate ARGUMENTS`, with nothing but this environment. Writes to `output`, or where the server writes."""
    from framegate.box.fork_server import PID

    os.setsid()
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123 - a descriptor is wanted
        os.dup2(nothing.fileno(), 0)
    if output is not None:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
        output.close()
    take_environment({**environment, "FRAMEGATE_PARENT": str(PID)})
    sys.argv = ["framegate", *arguments]
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    runpy.run_module("framegate", run_name="__main__")
