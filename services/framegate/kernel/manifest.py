"""`model.toml`: everything about a model that is data, so that one engine adapter serves every architecture."""

import hashlib
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Self

from framegate.kernel.errors import ModelRefused
from framegate.kernel.geometry import Placement


class Head(StrEnum):
    """How the raw output is laid out."""

    END2END = "end2end"  #: (n, k, 6): x1, y1, x2, y2, confidence, class; no NMS
    ANCHORS = "anchors"  #: (n, 4 + classes, anchors): centre x, centre y, width, height, class scores; NMS needed
    YOLOX = "yolox"  #: (n, anchors, 5 + classes) raw: grid and stride still to be applied; NMS needed


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

    @property
    def ref(self) -> str:
        """`name@version`."""
        return f"{self.name}@{self.version}"

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads `path` (a model.toml, or its directory) and checks the weights' sha256; raises `ModelRefused`."""
        file = path / "model.toml" if path.is_dir() else path
        try:
            raw = tomllib.loads(file.read_text("utf-8"))
        except OSError as error:
            raise ModelRefused(f"cannot read the model manifest {file}: {error.strerror or error}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ModelRefused(f"{file} is not valid TOML: {error}") from error
        manifest = cls._parse(raw, file)
        _check_weights(manifest)
        return manifest

    @classmethod
    def _parse(cls, raw: dict[str, Any], file: Path) -> Self:
        try:
            if raw["schema"] != 1:
                raise ModelRefused(f"{file}: schema {raw['schema']} is unknown; this release reads schema 1")
            thresholds = raw.get("thresholds", {})
            manifest = cls(
                name=str(raw["name"]),
                version=str(raw["version"]),
                licence=str(raw["licence"]),
                weights=(file.parent / raw["file"]),
                sha256=str(raw["sha256"]).lower(),
                head=Head(raw["model"]["head"]),
                classes=tuple(map(str, raw["model"]["classes"])),
                input=ModelInput(**raw["input"]),
                floor=float(thresholds.get("floor", 0.05)),
                thresholds={n: ClassThresholds(**t) for n, t in thresholds.get("classes", {}).items()},
                require=tuple(thresholds.get("require", ())),
                metrics=dict(raw.get("metrics", {})),
            )
        except KeyError as error:
            raise ModelRefused(f"{file}: the entry {error} is missing") from error
        except (TypeError, ValueError, AttributeError) as error:
            raise ModelRefused(f"{file}: {error}") from error
        manifest._check(file)
        return manifest

    def _check(self, file: Path) -> None:
        if not self.classes or len(set(self.classes)) != len(self.classes):
            raise ModelRefused(f"{file}: [model] classes must be a list of different names")
        unknown = ({*self.thresholds} | {*self.require}) - {*self.classes}
        if unknown:
            raise ModelRefused(f"{file}: [thresholds] names classes that the model does not have: {sorted(unknown)}")
        if min(self.input.width, self.input.height) < 32 or max(self.input.width, self.input.height) > 4096:
            raise ModelRefused(f"{file}: [input] width and height must be 32..4096")


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
