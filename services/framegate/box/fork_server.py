"""`python -m framegate.box.fork_server SOCKET PARENT`: loads what the processes of a box need, and forks them.

On a socket of packets (the descriptor SOCKET) it tells that it is ready, which process was started, that none could be, and
which has ended. A packet with a file, of one request, asks for a fork, and may bring what that one is to write to; one without
asks whether it answers. A fork becomes `framegate ARGUMENTS`.
"""

import errno
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from selectors import EVENT_READ, PollSelector
from typing import Any, Final

from setproctitle import setproctitle

from framegate.box.signals import die_with_parent
from framegate.environment import take_environment

_LOADED: Final = ("framegate.cli.run", "framegate.bootstrap.preloaded")
_STOPS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

Request = dict[str, Any]
PING: Final = b"?"


def main() -> None:
    """Serves; in each fork, runs what it has become."""
    # Who stops a service tells all its processes. The forks and the supervisor stop in good order, and must not be cut short
    # because this one went first. Blocked, not ignored: a fork that is told before it listens still hears.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])  # whatever began this may have blocked it
    die_with_parent(int(sys.argv[2]))
    setproctitle("framegate fork-server")
    gc.disable()
    for module in _LOADED:
        importlib.import_module(module)
    sys.stdout.flush()  # or what a library has said would be said once more by each fork
    gc.freeze()  # a collector that looked at what is loaded would write to pages that all forks share
    server = os.getpid()
    with socket.socket(fileno=int(sys.argv[1])) as control:
        _tell(control, ready=server)
        told = serve(control)
    if told is not None:
        _become(*told, parent=server)


def serve(control: socket.socket) -> tuple[Request, int | None] | None:
    """Returns in each fork, with its request and the descriptor it writes to; in the server, when nobody asks any more."""
    with ExitStack() as closing:
        selector = closing.enter_context(PollSelector())
        ending, ended = os.pipe()
        for descriptor in (ending, ended):
            closing.callback(os.close, descriptor)
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(ended)
        closing.callback(signal.set_wakeup_fd, -1)
        # It need not do anything: that it is called writes to the descriptor.
        usual = signal.signal(signal.SIGCHLD, lambda *_: None)
        closing.callback(signal.signal, signal.SIGCHLD, usual)
        for readable in (control, ending):
            selector.register(readable, EVENT_READ)
        while True:
            ready = {key.fileobj for key, _ in selector.select()}
            if ending in ready:
                os.read(ending, 4096)
                _tell_who_ended(control)
            if control in ready:
                asked, descriptors, _, _ = socket.recv_fds(control, 16, 2, socket.MSG_CMSG_CLOEXEC)
                if not asked:
                    return None
                if asked == PING:
                    _tell(control, ready=os.getpid())
                elif _is_fork(control, int(asked), descriptors):
                    with os.fdopen(descriptors[0], "rb") as file:
                        return json.load(file), descriptors[1] if len(descriptors) > 1 else None
                for descriptor in descriptors:
                    os.close(descriptor)


def _is_fork(control: socket.socket, sent: int, descriptors: Sequence[int]) -> bool:
    """True in the one that this makes. The server tells what became of the request."""
    try:
        if len(descriptors) < sent:  # there was no number left for them
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        pid = os.fork()
    except OSError as error:
        _tell(control, failed=error.errno or errno.EAGAIN)
        return False
    if pid:
        _tell(control, started=pid)
    return not pid


def _tell_who_ended(control: socket.socket) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        _tell(control, ended=pid, code=os.waitstatus_to_exitcode(status))


def _tell(control: socket.socket, **what: int) -> None:
    control.send(json.dumps(what).encode())


def _become(request: Request, output: int | None, parent: int) -> None:
    """`framegate ARGUMENTS`, with nothing but its environment, until it ends."""
    os.setsid()
    if output is not None:
        for stream in (1, 2):
            os.dup2(output, stream)
        os.close(output)
    take_environment({**request["environment"], "FRAMEGATE_PARENT": str(parent)})
    sys.argv = ["framegate", *request["arguments"]]
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)
    runpy.run_module("framegate", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
