"""Blobs as files below one directory, durable against power loss."""

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from framegate.kernel.errors import BlobMissing, DependencyUnavailable
from framegate.ports.blobs import BLOB_KEY

_SPOOL = "spool"
_REMEDIES = {
    errno.ENOSPC: "the disk is full: free space or enlarge the volume",
    errno.EDQUOT: "the disk quota is used up: free space or raise the quota",
    errno.EIO: "the disk reports an error: check the kernel log and replace the disk",
    errno.EROFS: "the file system is read-only: check the kernel log for a disk error and mount it writable",
    errno.EACCES: "access is denied: give the directory to the user that runs framegate",
    errno.EPERM: "access is denied: give the directory to the user that runs framegate",
    errno.EMFILE: "too many open files: raise the limit (ulimit -n)",
}


class LocalBlobs:
    """`Blobs`. Safe for use from several threads and processes. Directories are 0700, files 0600."""

    def __init__(self, root: Path) -> None:
        """Creates `root` when it is missing. Keys are paths below it: whoever makes them spreads them over directories."""
        self._root = root.absolute()
        self._spool = self._root / _SPOOL
        #: Directories whose own entry is known to be on disk. One that merely exists may be another's, not synced yet.
        self._synced: set[Path] = set()
        self._names = count()
        with self._available():
            self._make_directory(self._spool)
            _sync_entries_above(self._root)

    def put(self, key: str, data: bytes | memoryview, *, durable: bool = True) -> None:
        """Raises ValueError when `durable` and the key holds other bytes; what is not durable is replaced."""
        target = self._path(key)
        with self._available():
            if durable and target.exists():
                self._keep(target, bytes(data))
                return
            spooled = self._spool / f"{os.getpid()}-{time.time_ns()}-{next(self._names)}"
            try:
                _write(spooled, data, durable=durable)
                self._move(spooled, target, durable=durable)
            except BaseException:
                with suppress(OSError):
                    spooled.unlink()
                raise

    def adopt(self, key: str, file: Path) -> None:
        """Repeating a call that succeeded, or failed after the move, is safe. Raises ValueError like `put`."""
        target = self._path(key)
        with self._available():
            if target.exists():
                self._keep(target, file.read_bytes() if file.exists() else None)
                file.unlink(missing_ok=True)
                return
            try:
                _sync(file, mode=0o600)
            except FileNotFoundError:
                raise BlobMissing(f"the upload {file.name} is gone: send it again") from None
            except OSError:
                # After a failed fsync the kernel may call the lost pages clean: this file must not be tried again.
                file.unlink(missing_ok=True)
                raise
            self._move(file, target, durable=True)

    def _keep(self, target: Path, data: bytes | None) -> None:
        if data is not None and _read(target) != data:
            raise ValueError(f"{target.relative_to(self._root)} holds other bytes already")
        # Whoever wrote it may have died before the sync.
        _sync(target)
        self._make_directory(target.parent)
        _sync(target.parent)

    def _move(self, spooled: Path, target: Path, *, durable: bool) -> None:
        directory = target.parent
        if durable:
            self._make_directory(directory)
        try:
            spooled.rename(target)
        except FileNotFoundError:  # a new directory, or one that somebody deleted since
            self._synced.clear()
            self._make_directory(directory)
            spooled.rename(target)
        if durable:
            _sync(directory)

    def _make_directory(self, directory: Path) -> None:
        """From the top down: on return, every entry from the root to `directory` is on disk."""
        if directory in self._synced:
            return
        if directory != self._root:
            self._make_directory(directory.parent)
        with suppress(FileExistsError):
            directory.mkdir(0o700, parents=directory == self._root)
        if directory != self._root:
            _sync(directory.parent)
        self._synced.add(directory)

    def spool_dir(self) -> Path:
        """On the same file system as everything else, so that `adopt` is a rename."""
        return self._spool

    def get(self, key: str) -> bytes:
        """Raises `BlobMissing`, or `DependencyUnavailable` when the whole directory is gone (a lost mount)."""
        with self._available():
            try:
                return _read(self._path(key))
            except FileNotFoundError:
                self._check_mounted()
                raise BlobMissing(f"there is no blob {key}") from None

    def exists(self, key: str) -> bool:
        """Raises `DependencyUnavailable` when the whole directory is gone."""
        with self._available():
            if self._path(key).exists():
                return True
            self._check_mounted()
            return False

    def _check_mounted(self) -> None:
        if not self._spool.is_dir():
            raise DependencyUnavailable(f"{self._root} is not the blob directory any more: is its volume mounted?")

    def delete(self, key: str) -> None:
        """Directories stay."""
        with self._available():
            self._path(key).unlink(missing_ok=True)

    def free_bytes(self) -> int | None:
        """For users without privileges."""
        with self._available():
            volume = os.statvfs(self._root)
            return volume.f_bavail * volume.f_frsize

    def sweep(self, prefix: str, older_than_s: float) -> int:
        """`prefix` is a directory of keys, or `spool`. Age counts from the last write."""
        if not BLOB_KEY.fullmatch(prefix.rstrip("/")):
            raise ValueError(f"not a prefix of blob keys: {prefix!r}")
        limit, deleted = time.time() - older_than_s, 0
        with self._available():
            self._check_mounted()
            for file in _files(self._root / prefix):
                with suppress(FileNotFoundError):
                    if file.stat().st_mtime < limit:
                        file.unlink()
                        deleted += 1
        return deleted

    def _path(self, key: str) -> Path:
        if not BLOB_KEY.fullmatch(key) or key.split("/", 1)[0] == _SPOOL:
            raise ValueError(f"not a blob key: {key!r}")
        return self._root / key

    @contextmanager
    def _available(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            remedy = _REMEDIES.get(error.errno or 0, "check the volume and the directory's owner")
            reason = error.strerror or str(error)
            raise DependencyUnavailable(f"cannot use the blobs in {self._root} ({reason}): {remedy}") from error


def _write(file: Path, data: bytes | memoryview, *, durable: bool) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        left = memoryview(data).cast("B")
        while left:
            left = left[os.write(descriptor, left) :]
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(file: Path) -> bytes:
    with file.open("rb", buffering=0) as opened:
        return opened.read()


def _sync(path: Path, mode: int | None = None) -> None:
    """Of a file or of a directory's entries; sets `mode` first."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if mode is not None:
            os.fchmod(descriptor, mode)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_entries_above(directory: Path) -> None:
    """`directory` and its parents may be new; those of other users are neither ours to read nor new."""
    for parent in directory.parents:
        try:
            _sync(parent)
        except PermissionError:
            return


def _files(directory: Path) -> Iterator[Path]:
    try:
        entries = list(os.scandir(directory))
    except FileNotFoundError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _files(Path(entry.path))
        else:
            yield Path(entry.path)
