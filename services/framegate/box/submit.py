"""Sending files to a box, with a spool for the time it cannot be reached."""

import json
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from rich.console import Console

from framegate.box.client import IMAGE_SUFFIXES, ApiClient, RefusedUpload, idempotency_key, shown
from framegate.kernel.errors import DependencyUnavailable

#: A file that grew within this time is still being written.
_SETTLED_S = 0.5
_RETRY_S = 2.0


class Submitter:
    """Sends each file once; what cannot be sent now is copied to the spool, and the spool is sent first."""

    def __init__(self, client: ApiClient, spool: Path, camera: str, lane: str, console: Console) -> None:
        self._client, self._spool, self._camera, self._lane, self._console = client, spool, camera, lane, console
        self._seen: dict[Path, tuple[int, int]] = {}
        self._sent = self._refused = 0
        self._failed: set[Path] = set()

    def run(self, paths: Iterable[Path], *, follow: bool, stop: threading.Event) -> int:
        """The exit code: 0 when everything was accepted."""
        paths = list(paths)
        self._drain_spool(stop)
        while True:
            for file in self._new_files(paths, stop):
                self._send_or_spool(file)
            if stop.is_set() or not follow:
                break
            self._drain_spool(stop)
            stop.wait(_RETRY_S)
        while self._waiting() and not stop.is_set():
            self._console.print(f"{len(self._waiting())} files wait for the box; Ctrl-C leaves them in {self._spool}")
            stop.wait(_RETRY_S)
            self._drain_spool(stop)
        waiting = len(self._waiting())
        self._console.print(f"{self._sent} accepted, {self._refused} refused, {waiting} waiting in {self._spool}")
        return 1 if self._refused or waiting or self._failed else 0

    def _new_files(self, paths: Iterable[Path], stop: threading.Event) -> Iterator[Path]:
        for path in paths:
            for file in self._listed(path):
                if stop.is_set():
                    return
                if file.suffix.lower() in IMAGE_SUFFIXES and self._is_new(file, stop):
                    yield file

    def _listed(self, path: Path) -> list[Path]:
        try:
            return sorted(path.rglob("*")) if path.is_dir() else [path]
        except OSError as error:
            self._cannot(path, error)
            return []

    def _is_new(self, file: Path, stop: threading.Event) -> bool:
        """Once for each version of a file, and only when it has stopped growing."""
        try:
            if not file.is_file():
                return False
            before = file.stat()
            version = (before.st_size, before.st_mtime_ns)
            if self._seen.get(file) == version:
                return False
            if before.st_mtime > time.time() - _SETTLED_S:
                stop.wait(_SETTLED_S)
                after = file.stat()
                if (after.st_size, after.st_mtime_ns) != version:
                    return False  # the next round looks again
        except FileNotFoundError:
            return False
        except OSError as error:
            self._cannot(file, error)
            return False
        self._seen[file] = version
        return True

    def _cannot(self, path: Path, error: OSError) -> None:
        """Neither sent nor spooled: the next round tries again, and the exit code tells."""
        if path not in self._failed:
            reason = error.strerror or error
            self._console.print(f"cannot read or spool {shown(path)}: {reason}", style="red", markup=False)
        self._failed.add(path)
        self._seen.pop(path, None)

    def _send_or_spool(self, file: Path) -> None:
        try:
            data = file.read_bytes()
            key = idempotency_key(file, data, self._camera, self._lane)
            try:
                self._send(data, file.suffix, key, self._camera, self._lane, shown(file))
            except DependencyUnavailable as error:
                self._put_aside(file, data, key)
                self._console.print(f"spooled {shown(file)}: {error}", style="yellow", markup=False)
        except OSError as error:
            self._cannot(file, error)
        else:
            self._failed.discard(file)

    def _send(self, data: bytes, suffix: str, key: str, camera: str, lane: str, name: str) -> None:
        try:
            answer = self._client.submit(data, suffix, key, camera=camera, lane=lane)
        except RefusedUpload as error:
            self._refused += 1
            self._console.print(f"refused {name}: {error}", style="red", markup=False)
        else:
            self._sent += 1
            self._console.print(f"{answer['id']}  {name}", highlight=False, markup=False)

    def _put_aside(self, file: Path, data: bytes, key: str) -> None:
        self._spool.mkdir(mode=0o700, parents=True, exist_ok=True)
        copy = self._spool / f"{key}{file.suffix.lower()}"
        partial = copy.with_suffix(".partial")
        partial.write_bytes(data)  # not a copy of the file: that may be gone, or another picture, by now
        note = {"camera": self._camera, "lane": self._lane, "name": shown(file)}
        copy.with_suffix(".json").write_text(json.dumps(note), "utf-8")
        partial.replace(copy)  # the image appears last: a spooled image always has its note

    def _waiting(self) -> list[Path]:
        return sorted(f for f in self._spool.glob("*") if f.suffix in IMAGE_SUFFIXES) if self._spool.is_dir() else []

    def _drain_spool(self, stop: threading.Event) -> None:
        for file in self._waiting():
            if stop.is_set():
                return
            try:
                note = json.loads(file.with_suffix(".json").read_text("utf-8"))
                camera, lane, name, data = note["camera"], note["lane"], note["name"], file.read_bytes()
            except (OSError, ValueError, LookupError, TypeError) as error:
                self._leave_out(file, error)
                continue
            try:
                self._send(data, file.suffix, file.stem, camera, lane, name)
            except DependencyUnavailable:
                return
            file.unlink(missing_ok=True)  # another submitter may have been as fast
            file.with_suffix(".json").unlink(missing_ok=True)

    def _leave_out(self, file: Path, error: Exception) -> None:
        """Nobody knows whose picture it is: people must look, and the others must not wait for that."""
        if file.exists():
            self._failed.add(file)
            self._console.print(f"cannot send the spooled {file}: {error}", style="red", markup=False)
            file.rename(file.with_name(f"{file.name}.broken"))
