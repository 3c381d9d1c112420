"""Sending files to a box, with a spool for the time it cannot be reached."""

import json
import shutil
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from rich.console import Console

from framegate.box.client import IMAGE_SUFFIXES, ApiClient, RefusedUpload, idempotency_key
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

    def run(self, paths: Iterable[Path], *, follow: bool, stop: threading.Event) -> int:
        """The exit code: 0 when everything was accepted."""
        paths = list(paths)
        self._drain_spool()
        while True:
            for file in self._new_files(paths, stop):
                self._send_or_spool(file)
            if stop.is_set() or not follow:
                break
            self._drain_spool()
            stop.wait(_RETRY_S)
        while self._waiting() and not stop.is_set():
            self._console.print(f"{len(self._waiting())} files wait for the box; Ctrl-C leaves them in {self._spool}")
            stop.wait(_RETRY_S)
            self._drain_spool()
        waiting = len(self._waiting())
        self._console.print(f"{self._sent} accepted, {self._refused} refused, {waiting} waiting in {self._spool}")
        return 1 if self._refused or waiting else 0

    def _new_files(self, paths: Iterable[Path], stop: threading.Event) -> Iterator[Path]:
        for path in paths:
            for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                if stop.is_set():
                    return
                if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file() and self._is_new(file, stop):
                    yield file

    def _is_new(self, file: Path, stop: threading.Event) -> bool:
        """Once for each version of a file, and only when it has stopped growing."""
        try:
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
        self._seen[file] = version
        return True

    def _send_or_spool(self, file: Path) -> None:
        data = file.read_bytes()
        key = idempotency_key(file, data)
        try:
            self._send(data, file.suffix, key, self._camera, self._lane, str(file))
        except DependencyUnavailable as error:
            self._put_aside(file, key)
            self._console.print(f"spooled {file}: {error}", style="yellow", markup=False)

    def _send(self, data: bytes, suffix: str, key: str, camera: str, lane: str, name: str) -> None:
        try:
            answer = self._client.submit(data, suffix, key, camera=camera, lane=lane)
        except RefusedUpload as error:
            self._refused += 1
            self._console.print(f"refused {name}: {error}", style="red", markup=False)
        else:
            self._sent += 1
            self._console.print(f"{answer['id']}  {name}", highlight=False, markup=False)

    def _put_aside(self, file: Path, key: str) -> None:
        self._spool.mkdir(mode=0o700, parents=True, exist_ok=True)
        copy = self._spool / f"{key}{file.suffix.lower()}"
        partial = copy.with_suffix(".partial")
        shutil.copyfile(file, partial)
        note = {"camera": self._camera, "lane": self._lane, "name": str(file)}
        copy.with_suffix(".json").write_text(json.dumps(note), "utf-8")
        partial.replace(copy)  # the image appears last: a spooled image always has its note

    def _waiting(self) -> list[Path]:
        return sorted(f for f in self._spool.glob("*") if f.suffix in IMAGE_SUFFIXES) if self._spool.is_dir() else []

    def _drain_spool(self) -> None:
        for file in self._waiting():
            note = json.loads(file.with_suffix(".json").read_text("utf-8"))
            try:
                self._send(file.read_bytes(), file.suffix, file.stem, note["camera"], note["lane"], note["name"])
            except DependencyUnavailable:
                return
            file.unlink()
            file.with_suffix(".json").unlink(missing_ok=True)
