"""Advisory file locks: the kernel frees them however a process ends."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from framegate.adapters.embedded_postgres.errors import DataDirectoryBusy

_POLL_S = 0.05
_SILENT_S = 1.0


class FileLock:
    """One `flock`; each instance is a holder of its own, also within a process."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)

    def try_acquire(self, *, shared: bool = False) -> bool:
        """Does not block. On a lock already held this converts it, and a refusal may have dropped it."""
        try:
            fcntl.flock(self._fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        """Keeps the file open, for another try."""
        fcntl.flock(self._fd, fcntl.LOCK_UN)

    def write_pid(self) -> None:
        """Leaves this process's id in the file, for the message that another process shows."""
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def read_pid(self) -> int | None:
        """The id that the last owner left."""
        text = os.pread(self._fd, 32, 0).strip()
        return int(text) if text.isdigit() else None

    def close(self) -> None:
        """Releases the lock."""
        os.close(self._fd)


@contextmanager
def exclusive(path: Path, timeout_s: float, notify: Callable[[str], None]) -> Iterator[None]:
    """Waits up to `timeout_s` for the lock and says so once the wait is noticeable."""
    lock = FileLock(path)
    began = time.monotonic()
    told = False
    try:
        while not lock.try_acquire():
            waited = time.monotonic() - began
            if waited > timeout_s:
                raise DataDirectoryBusy(
                    f"another process has been starting or stopping the database in {path.parent.parent} for "
                    f"more than {timeout_s:.0f} s: try again, or see the logs in {path.parent}"
                )
            if waited > _SILENT_S and not told:
                told = True
                notify("waiting for another process that starts or stops the database")
            time.sleep(_POLL_S)
        yield
    finally:
        lock.close()
