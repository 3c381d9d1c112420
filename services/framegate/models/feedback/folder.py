"""The folder that labels go into: ours alone, written again only where something is missing or other."""

import hashlib
import json
import re
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, Final, Self

from framegate.kernel.errors import ConfigurationError

#: Beside the labels: what they are an export of. `evaluate` and `calibrate` know by it where labels come from.
MARKER: Final = "framegate-labels.json"
_CONTENT: Final = re.compile(r"(images|labels|damaged|intact)/((train|val)/)?[0-9a-f]{64}\.(jpg|png|txt)(\.part)?")
_FIXED: Final = re.compile(
    r"(framegate-labels\.json|data\.yaml|provenance\.(json|csv)|annotations/(train|val)\.json)(\.part)?"
)


class ExportFolder:
    """Of one export, which may be gone on with."""

    def __init__(self, root: Path, options: Mapping[str, Any]) -> None:
        """Raises `ConfigurationError` for a folder with anything in it that is not of an export of the same kind."""
        self.root, self._kept, self._scratch = root, set[str](), ExitStack()
        self.written = 0  #: files that were missing or other
        try:
            root.mkdir(parents=True, exist_ok=True)
            present = [path.relative_to(root).as_posix() for path in root.rglob("*") if not path.is_dir()]
        except OSError as error:
            raise ConfigurationError(f"{root} cannot be used: {error.strerror}") from error
        foreign = [name for name in present if not (_CONTENT.fullmatch(name) or _FIXED.fullmatch(name))]
        if foreign or (present and MARKER not in present):
            raise ConfigurationError(
                f"{root} holds files that are no labels of the review desk, such as {min(foreign or present)}: "
                "name an empty or a new folder"
            )
        if present and self._options() != dict(options):
            raise ConfigurationError(
                f"{root} holds an export with other options ({root / MARKER}): name another folder, or the same options"
            )
        self.write(MARKER, json.dumps(options, indent=1, sort_keys=True).encode())

    def __enter__(self) -> Self:
        """Scratch files are gone when it is left."""
        return self

    def __exit__(self, *_: object) -> None:
        self._scratch.close()

    def scratch(self) -> IO[str]:
        """A file without a name."""
        return self._scratch.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8"))

    def has(self, name: str, sha256: str) -> bool:
        """Whether the file is there with these bytes; if so it is kept."""
        try:
            with (self.root / name).open("rb") as file:
                right = hashlib.file_digest(file, "sha256").hexdigest() == sha256
        except FileNotFoundError:
            return False
        if right:
            self._kept.add(name)
        return right

    def write(self, name: str, data: bytes) -> None:
        """The whole file or none; not again where it is right."""
        if self.has(name, hashlib.sha256(data).hexdigest()):
            return
        self.part(name).write_bytes(data)
        self.finish(name)

    def part(self, name: str) -> Path:
        """Where a large file grows until `finish`."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.with_name(f"{path.name}.part")

    def finish(self, name: str) -> None:
        """The part becomes the file."""
        self.part(name).replace(self.root / name)
        self._kept.add(name)
        self.written += 1

    def remove_others(self) -> int:
        """What an earlier run left that is not part of the export any more. How many files."""
        removed = 0
        for path in self.root.rglob("*"):
            name = path.relative_to(self.root).as_posix()
            if name not in self._kept and (_CONTENT.fullmatch(name) or _FIXED.fullmatch(name)) and path.is_file():
                path.unlink()
                removed += 1
        return removed

    def _options(self) -> Any:
        try:
            return json.loads((self.root / MARKER).read_text("utf-8"))
        except (OSError, ValueError):
            return None
