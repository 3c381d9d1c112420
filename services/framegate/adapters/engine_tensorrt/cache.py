"""Engines that were built on this host, one file for each key."""

import contextlib
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from framegate.adapters.engine_tensorrt.container import EngineKey, check_key, pack, unpack
from framegate.kernel.errors import ConfigurationError

_OTHERS_MAY = stat.S_IRWXG | stat.S_IRWXO


class EngineCache:
    """A directory of this user alone: who can write an engine there can run code here."""

    def __init__(self, directory: Path) -> None:
        """Makes it, mode 0700; raises `ConfigurationError` when it is another user's or open to others."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        facts = directory.stat()
        if facts.st_uid != os.geteuid() or facts.st_mode & _OTHERS_MAY:
            raise ConfigurationError(
                f"the engine cache {directory} must be yours alone, engines are code: chmod 700 it, or name another"
            )
        self._directory = directory

    def path(self, key: EngineKey) -> Path:
        """Where this key's engine is, or would be."""
        return self._directory / f"{key.digest}.engine"

    def get(self, key: EngineKey, build: Callable[[], bytes]) -> bytes:
        """The plan; `build` is called when there is none yet, by one process at a time: that takes minutes of the GPU.

        Raises `ModelRefused` when the file is not what its name says, and whatever `build` raises.
        """
        file = self.path(key)
        with self._locked(file):
            if file.exists():
                found = unpack(file.read_bytes(), file)
                remedy = "delete it, and it is built again"
                check_key(found.key or _UNKNOWN, key, file, remedy)
                return found.plan
            plan = build()
            write_atomically(file, pack(key, plan))
            return plan

    @contextlib.contextmanager
    def _locked(self, file: Path) -> Iterator[None]:
        with file.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def write_atomically(file: Path, data: bytes) -> None:
    """Mode 0600. After a crash, at any moment, the file is whole or absent."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as new:
        new.write(data)
        new.flush()
        os.fsync(new.fileno())
    draft.replace(file)
    directory = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


#: Stands for a file without our header.
_UNKNOWN = EngineKey("unknown", "unknown", "unknown", "unknown", "f32", 0, "unknown")
