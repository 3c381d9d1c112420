"""From a file of weights to a manifest that fits it, proven by an inference before anything is registered."""

import hashlib
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from framegate.bootstrap.engines import describe_weights, reference_engine
from framegate.inference.answers import prove
from framegate.kernel.errors import EngineFault, ModelRefused
from framegate.kernel.manifest import Head, ModelManifest
from framegate.kernel.serving import check_onnx
from framegate.kernel.weights import Format, WeightsFacts, format_of
from framegate.models.classes import read_classes
from framegate.models.layout import class_count, head_of, hint, size_of
from framegate.models.manifest_text import renamed, written
from framegate.settings import Settings

#: YOLOX is trained on BGR pictures in 0..255 that lie at the top left: its ValTransform.
#: https://github.com/Megvii-BaseDetection/YOLOX/blob/main/yolox/data/data_augment.py
_YOLOX_INPUT: Final[dict[str, Any]] = {"color": "bgr", "scale": 1.0, "letterbox": "top-left"}
_USUAL_INPUT: Final[dict[str, Any]] = {"color": "rgb", "scale": 1 / 255, "letterbox": "center"}


@dataclass(frozen=True, slots=True)
class Draft:
    """A model that may be registered: the runtime loaded it and its output is what the manifest says."""

    manifest: ModelManifest  #: its `text` is the model.toml, its `weights` the file that was given
    weights: bytes
    format: Format


def draft(
    path: Path,
    name: str | None = None,
    version: str | None = None,
    licence: str | None = None,
    *,
    manifest: Path | None = None,
    head: str | None = None,
    classes: Path | None = None,
    size: tuple[int, int] | None = None,
) -> Draft:
    """Either `manifest` describes the weights at `path`, or the file itself and the other arguments do; `name`, `version` and
    `licence` replace what the manifest says.

    `size` is (width, height). Raises `ModelRefused` with all that is missing, `ConfigurationError` where torch is.
    """
    weights = _read(path)
    kind = format_of(weights)
    if kind == "onnx":
        check_onnx(weights, path)
    if manifest is not None:
        if any(given is not None for given in (head, classes, size)):
            raise ModelRefused(f"{manifest} says what {path} takes and gives: change it there, or leave --manifest out")
        parsed = _described_by(manifest, path, weights, {"name": name, "version": version, "licence": licence})
    else:
        facts = describe_weights(weights, path)
        document = _document(path, weights, facts, (name, version, licence), head, classes, size)
        parsed = ModelManifest.parse(written(document), f"the manifest drafted for {path}", weights=path)
    _prove(parsed)
    return Draft(parsed, weights, kind)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelRefused(f"cannot read the weights {path}: {error.strerror or error}") from error


def _described_by(manifest: Path, path: Path, weights: bytes, identity: Mapping[str, str | None]) -> ModelManifest:
    try:
        text = manifest.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelRefused(f"cannot read the model manifest {manifest}: {error}") from error
    parsed = ModelManifest.parse(text, str(manifest), weights=path)
    if any(identity.values()):
        parsed = ModelManifest.parse(renamed(text, identity), str(manifest), weights=path)
    actual = hashlib.sha256(weights).hexdigest()
    if actual != parsed.sha256:
        raise ModelRefused(
            f"{path} has sha256 {actual}, {manifest} says {parsed.sha256}: the file is damaged or belongs to another "
            "manifest; fetch it again or correct the manifest"
        )
    return parsed


def _document(
    path: Path,
    weights: bytes,
    facts: WeightsFacts,
    identity: tuple[str | None, str | None, str | None],
    head: str | None,
    classes: Path | None,
    size: tuple[int, int] | None,
) -> dict[str, Any]:
    name, version, licence = identity[0], identity[1], identity[2] or facts.licence
    layout = _head(head) if head else head_of(facts)
    names = read_classes(classes) if classes else facts.classes
    pixels = size_of(facts, size, str(path))
    missing = {
        "its name: --name NAME": name,
        "its version: --version VERSION": version,
        "its licence: --licence TEXT, such as AGPL-3.0": licence,
        f"its head: --head {'|'.join(Head)} ({hint(facts)})": layout,
        "its class names: --classes FILE, one name a line": names,
        "its input size: --size WIDTHxHEIGHT in pixels": pixels,
    }
    lacking = [what for what, value in missing.items() if not value]
    if lacking or layout is None or pixels is None:
        raise ModelRefused(f"{path} does not say {'; nor '.join(lacking)}")
    _check_count(path, layout, facts, names, classes)
    width, height = pixels
    return {
        "schema": 1,
        "name": name,
        "version": version,
        "licence": licence,
        "description": facts.origin or None,
        "file": path.name,
        "sha256": hashlib.sha256(weights).hexdigest(),
        "model": {"head": layout.value, "classes": list(names)},
        "input": {
            "width": width,
            "height": height,
            "dynamic_size": None in facts.input_shape[2:],
            "dynamic_batch": facts.input_shape[0] is None,
            "name": facts.input_name,
            **(_YOLOX_INPUT if layout is Head.YOLOX else _USUAL_INPUT),
            "pad_value": 114,
            "scaled_decoding": False,
        },
        "thresholds": {"floor": 0.05},
    }


def _head(text: str) -> Head:
    try:
        return Head(text)
    except ValueError:
        raise ModelRefused(f"the head {text!r} is unknown: --head takes {', '.join(Head)}") from None


def _check_count(path: Path, head: Head, facts: WeightsFacts, names: tuple[str, ...], classes: Path | None) -> None:
    count = class_count(head, facts.output_shape) or len(facts.classes) or None
    if count is not None and count != len(names):
        source = classes or "its metadata"
        raise ModelRefused(
            f"{source} names {len(names)} classes, {path} with its head {head.value} has {count}: "
            "give --classes FILE with one name for each, in the order of the class numbers"
        )


def _prove(manifest: ModelManifest) -> None:
    settings = Settings.read(engine="auto")
    try:
        with closing(reference_engine(settings, manifest)) as engine:
            prove(engine, manifest)
    except EngineFault as error:
        raise ModelRefused(f"{manifest.weights} does not do what its manifest says: {error}") from error
