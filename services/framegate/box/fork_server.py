"""Imported by the fork server of a box alone, after all else that it loads: makes it ready to fork."""

import gc
import os
import signal

import setproctitle

from framegate.box.signals import die_with_parent

PID = os.getpid()

setproctitle.setproctitle("framegate fork-server")
# It ends when the supervisor does, be it killed; multiprocessing itself would wait for the forks, which end with the server.
die_with_parent(os.getppid())
# Who stops a service or a terminal's session tells all its processes. The forks and the supervisor stop in good order, and
# must not be cut short because this one went first. Blocked, not ignored: a fork that is told before it listens still hears.
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
# What is loaded stays: a collector that looked at it would write to pages that all forks share.
gc.collect()
gc.freeze()
