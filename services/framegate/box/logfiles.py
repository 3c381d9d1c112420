"""Where the lines of a box go: into files that never grow beyond a bound, and to whoever started the box.

The children write to pipes and the supervisor reads them, so that one process alone writes and rotates, and so that the last
words of a process that crashes are kept. Neither a full disk nor a terminal that stands still holds anybody up.
"""

import errno
import os
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

from framegate.kernel.errors import ConfigurationError
from framegate.observability.logs import get_log, read_line

DIRECTORY: Final = "logs"
_NAME: Final = "box"
_FILES: Final = 8
_FILE_BYTES: Final = 16 * 2**20
_LONGEST_LINE: Final = 2**20
_MOST_UNSHOWN: Final = 10_000
_APPEND: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC


def log_files(data: Path) -> list[Path]:
    """Of the box in `data`, oldest first."""
    directory = data / DIRECTORY
    names = [*(f"{_NAME}.{n}.jsonl" for n in range(_FILES - 1, 0, -1)), f"{_NAME}.jsonl"]
    return [file for name in names if (file := directory / name).is_file()]


def tail(data: Path) -> str:
    """The last lines of the box in `data`."""
    return "".join(file.read_text("utf-8", "replace") for file in log_files(data)[-1:])[-2000:]


class RotatedFile:
    """Lines in files of at most `file_bytes`, of which the newest `files` are kept. Safe for use from several threads."""

    def __init__(self, data: Path, files: int = _FILES, file_bytes: int = _FILE_BYTES) -> None:
        """Raises `ConfigurationError` where there is no place for them."""
        self._directory, self._files, self._most = data / DIRECTORY, files, file_bytes
        self._lock = threading.Lock()
        self._file = -1
        self._size = 0
        self._lost = 0
        self._torn = False
        try:
            self._directory.mkdir(mode=0o700, exist_ok=True)
            self._open()
        except OSError as error:
            raise ConfigurationError(f"cannot write logs in {self._directory}: {error.strerror or error}") from error

    def write(self, line: bytes) -> int:
        """One line without its end. How many were lost before it since the last one that could be written."""
        with self._lock:
            try:
                self._write(line)
            except OSError:
                self._lost += 1
                return 0
            lost, self._lost = self._lost, 0
            return lost

    def close(self) -> None:
        """Nothing is written after it."""
        with self._lock:
            if self._file >= 0:
                os.close(self._file)
            self._file, self._size = -1, 0

    def _write(self, line: bytes) -> None:
        if self._size + len(line) >= self._most and self._size:
            self._rotate()
        # Each line in one call and at once: what a process said before it died is there, and no line is torn for long.
        data = (b"\n" if self._torn else b"") + line + b"\n"
        written = os.write(self._file, data)
        self._size += written
        self._torn = written < len(data)
        if self._torn:
            raise OSError

    def _rotate(self) -> None:
        # First of all, or what is kept would be given up for a file that there is no room for, again and again.
        fresh = self._directory / f".{_NAME}.jsonl"
        file = os.open(fresh, _APPEND, 0o600)
        for n in range(self._files - 1, 0, -1):
            before = self._path(n - 1)
            if before.exists():
                before.replace(self._path(n))
        fresh.replace(self._path(0))
        os.close(self._file)
        self._file, self._size, self._torn = file, 0, False

    def _open(self) -> None:
        self._file = os.open(self._path(0), _APPEND, 0o600)
        self._size = os.fstat(self._file).st_size
        self._torn = self._size > 0 and not self._ends_with_a_line()

    def _ends_with_a_line(self) -> bool:
        with self._path(0).open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"

    def _path(self, n: int) -> Path:
        return self._directory / (f"{_NAME}.{n}.jsonl" if n else f"{_NAME}.jsonl")


class BoxLog:
    """Keeps every line of a box's processes, and shows it. A context manager."""

    def __init__(self, data: Path, show: Callable[[str], object] | None = None) -> None:
        """`show` takes each line, in JSON, in a thread of its own; None: they are only kept."""
        self._file, self._show = RotatedFile(data), show
        self._unshown: queue.Queue[str | None] = queue.Queue(_MOST_UNSHOWN)
        self._readers: list[threading.Thread] = []
        self._log = get_log(worker="box/supervisor")
        self._shower = threading.Thread(target=self._show_all, name="log-show", daemon=True)

    def __enter__(self) -> "BoxLog":
        self._shower.start()
        return self

    def __exit__(self, *_: object) -> None:
        for reader in self._readers:
            reader.join(1)  # a child of a child may still hold the pipe
        with suppress(queue.Full):
            self._unshown.put(None, timeout=1)
        self._shower.join(2)
        self._file.close()

    def write(self, line: str) -> None:
        """Of this process: see `configure_logs`."""
        lost = self._file.write(line.encode("utf-8", "backslashreplace"))
        with suppress(queue.Full):  # nobody reads what is shown; it is kept all the same
            self._unshown.put_nowait(line)
        if lost:
            self._log.warning("lines could not be kept", action="log_lines_lost", count=lost)

    def follow(self, name: str, pipe: IO[bytes]) -> None:
        """Everything that the process `name` writes, until it closes its end. Raises OSError: no thread left."""
        reader = threading.Thread(target=self._read, args=(name, pipe), name=f"log-{name}", daemon=True)
        try:
            reader.start()
        except RuntimeError as error:
            pipe.close()
            raise BlockingIOError(errno.EAGAIN, str(error)) from error
        self._readers = [*(each for each in self._readers if each.is_alive()), reader]

    def _read(self, name: str, pipe: IO[bytes]) -> None:
        with pipe:
            while raw := pipe.readline(_LONGEST_LINE):
                line = raw.decode("utf-8", "backslashreplace").rstrip("\r\n")
                if read_line(line) is not None:
                    self.write(line)
                elif line.strip():  # a traceback before the logs are set up, or what a library says on its own
                    self._log.warning("a process said", action="child_said", child=name, detail=line)

    def _show_all(self) -> None:
        while (line := self._unshown.get()) is not None:
            if self._show is not None:
                self._show(line)
