"""Limits that the decoder child puts on itself before it sees the first byte of an image (Linux)."""

import ctypes
import math
import os
import resource
import signal
from dataclasses import dataclass
from typing import Final

#: From <linux/prctl.h>.
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38


@dataclass(frozen=True, slots=True)
class Confinement:
    """`address_space` holds the libraries (0.3 GB mapped) and the largest PNG we take, 50 Mpx of 64-bit pixels, twice."""

    address_space: int = 2 * 2**30
    cpu_s: int = 20  #: for one image
    open_files: int = 64


DEFAULT: Final = Confinement()


def confine(parent: int, limits: Confinement = DEFAULT) -> None:
    """No new processes, files, privileges or core dumps from here on; the kernel kills us when `parent` ends.

    `RLIMIT_NPROC` does not bind root. Raises `OSError` or `ValueError` where the system does not allow it.
    """
    # The signal comes when the thread that started us ends, not only its process: see `DecoderChild.start`.
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise SystemExit(0)  # it ended before it could have been noticed
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    for kind, value in (
        (resource.RLIMIT_AS, limits.address_space),
        (resource.RLIMIT_NOFILE, limits.open_files),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (value, value))


def allow_cpu(seconds: int) -> None:
    """From now on; then the kernel ends us with SIGXCPU."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used = math.ceil(usage.ru_utime + usage.ru_stime)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (used + seconds, hard))


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(ctypes.c_int(option), ctypes.c_ulong(value), *[ctypes.c_ulong(0)] * 3) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
