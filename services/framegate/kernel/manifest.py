"""`model.toml`: everything about a model that is data, so that one engine adapter serves every architecture."""

import hashlib
import tomllib
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Self

from framegate.kernel.errors import ModelRefused
from framegate.kernel.geometry import Placement
from framegate.kernel.ids import is_name

#: Pixels; the shortest and the longest side of a model's input.
MIN_SIDE, MAX_SIDE = 32, 4096


class Head(StrEnum):
    """How the raw output is laid out. It says the task, too: all but `classify` find boxes."""

    END2END = "end2end"  #: (n, k, 6): x1, y1, x2, y2, confidence, class; no NMS
    ANCHORS = "anchors"  #: (n, 4 + classes, anchors): centre x, centre y, width, height, class scores; NMS needed
    YOLOX = "yolox"  #: (n, anchors, 5 + classes) raw: grid and stride still to be applied; NMS needed
    CLASSIFY = "classify"  #: (n, classes) probabilities that sum to one; a model for whole frames or for crops


@dataclass(frozen=True, slots=True)
class ModelInput:
    """What the model eats."""

    width: int
    height: int
    dynamic_batch: bool
    dynamic_size: bool
    name: str = "images"
    color: Literal["rgb", "bgr"] = "rgb"
    scale: float = 1 / 255  #: multiplied onto uint8
    pad_value: int = 114
    letterbox: Placement = "center"
    scaled_decoding: bool = False  #: decode JPEG at reduced scale; only where measured harmless


@dataclass(frozen=True, slots=True)
class ClassThresholds:
    """Suggested confidences for one class; `fail` >= `review`."""

    review: float
    fail: float


@dataclass(frozen=True, slots=True)
class ModelManifest:
    """A parsed `model.toml` and the weights it names, checked against their sha256."""

    name: str
    version: str
    licence: str
    weights: Path
    sha256: str
    head: Head
    classes: tuple[str, ...]
    input: ModelInput
    floor: float  #: detections below are dropped
    thresholds: dict[str, ClassThresholds]
    require: tuple[str, ...]  #: a pass needs one of these classes in the frame; empty: no such rule
    metrics: dict[str, Any]
    text: str = ""  #: the TOML it was read from
    check: dict[str, Any] = field(
        default_factory=dict
    )  #: what the last parity check found, see `framegate.models.parity`

    @property
    def task(self) -> Literal["detect", "classify"]:
        """What the model answers."""
        return "classify" if self.head is Head.CLASSIFY else "detect"

    @property
    def ref(self) -> str:
        """`name@version`."""
        return f"{self.name}@{self.version}"

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads `path` (a model.toml, or its directory) and checks the weights' sha256; raises `ModelRefused`."""
        file = path / "model.toml" if path.is_dir() else path
        try:
            text = file.read_text("utf-8")
        except OSError as error:
            raise ModelRefused(f"cannot read the model manifest {file}: {error.strerror or error}") from error
        except UnicodeDecodeError as error:
            raise ModelRefused(f"{file} is not valid TOML: {error}") from error
        manifest = cls.parse(text, str(file), directory=file.parent)
        _check_weights(manifest)
        return manifest

    @classmethod
    def parse(cls, text: str, where: str, *, directory: Path = Path(), weights: Path | None = None) -> Self:
        """`text` is a model.toml, `where` names it in errors. The weights are `weights`, else the file that the text names
        in `directory`; they are not looked at. Raises `ModelRefused`.
        """
        try:
            raw = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ModelRefused(f"{where} is not valid TOML: {error}") from error
        try:
            if raw["schema"] != 1:
                raise ModelRefused(f"{where}: schema {raw['schema']} is unknown; this release reads schema 1")
            thresholds = raw.get("thresholds", {})
            manifest = cls(
                name=str(raw["name"]),
                version=str(raw["version"]),
                licence=str(raw["licence"]),
                weights=weights or directory / raw["file"],
                sha256=str(raw["sha256"]).lower(),
                head=_head(raw["model"]["head"]),
                classes=tuple(map(str, raw["model"]["classes"])),
                input=ModelInput(**raw["input"]),
                floor=float(thresholds.get("floor", 0.05)),
                thresholds={n: ClassThresholds(**t) for n, t in thresholds.get("classes", {}).items()},
                require=tuple(thresholds.get("require", ())),
                metrics=dict(raw.get("metrics", {})),
                text=text,
                check=dict(raw.get("check", {})),
            )
        except KeyError as error:
            raise ModelRefused(f"{where}: the entry {error} is missing") from error
        except (TypeError, ValueError, AttributeError) as error:
            raise ModelRefused(f"{where}: {error}") from error
        manifest._check(where)
        return manifest

    def _check(self, where: str) -> None:
        for name in (self.name, self.version):
            if not is_name(name):
                raise ModelRefused(f"{where}: {name!r} cannot be a name or version: use letters, digits and . _ : -")
        if not self.classes or len(set(self.classes)) != len(self.classes):
            raise ModelRefused(f"{where}: [model] classes must be a list of different names")
        unknown = ({*self.thresholds} | {*self.require}) - {*self.classes}
        if unknown:
            raise ModelRefused(f"{where}: [thresholds] names classes that the model does not have: {sorted(unknown)}")
        if min(self.input.width, self.input.height) < MIN_SIDE or max(self.input.width, self.input.height) > MAX_SIDE:
            raise ModelRefused(f"{where}: [input] width and height must be {MIN_SIDE}..{MAX_SIDE}")


def _head(text: Any) -> Head:
    try:
        return Head(text)
    except ValueError:
        raise ValueError(f"the head {text!r} is unknown; the heads are {', '.join(Head)}") from None


def _check_weights(manifest: ModelManifest) -> None:
    try:
        with manifest.weights.open("rb") as weights:
            actual = hashlib.file_digest(weights, "sha256").hexdigest()
    except OSError as error:
        raise ModelRefused(f"cannot read the weights {manifest.weights}: {error.strerror or error}") from error
    if actual != manifest.sha256:
        raise ModelRefused(
            f"{manifest.weights} has sha256 {actual}, its manifest says {manifest.sha256}: "
            "the file is damaged or was exchanged; fetch it again or correct the manifest"
        )
