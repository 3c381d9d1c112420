"""Export: weights in the form that another runtime wants, measured against the ones they were made from."""

import contextlib
import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import tomlkit
from numpy.typing import NDArray

from framegate import __version__
from framegate.bootstrap import exports
from framegate.inference.fleet import Frame
from framegate.kernel.errors import ConfigurationError, ModelRefused
from framegate.kernel.frames import pad
from framegate.kernel.manifest import ModelManifest
from framegate.kernel.weights import format_of
from framegate.models.contest import LIMIT, Standing, contenders, contest
from framegate.models.parity import Golden, golden_images, prepared
from framegate.settings import Settings

Target = Literal["onnx", "openvino", "tensorrt"]
Precision = Literal["f32", "f16", "int8"]
Say = Callable[[str], None]

#: Half of them calibrate, the other half show what came of it.
LEAST_IMAGES: Final = 16
_POSSIBLE: Final[dict[Target, tuple[Precision, ...]]] = {
    "onnx": ("f32", "int8"),
    "openvino": ("f32", "f16", "int8"),
    "tensorrt": ("f32", "f16", "int8"),
}
_PACKAGES: Final = ("onnx", "onnxruntime", "openvino", "tensorrt", "torch", "ultralytics")


@dataclass(frozen=True, slots=True)
class ExportPlan:
    """What is asked for."""

    target: Target
    precision: Precision
    out: Path  #: a directory that does not exist yet
    images: Path | None = None  #: pictures of the place where the model serves; INT8 needs them
    least_agreement: float = LIMIT  #: what INT8 and f16 must reach, else nothing is written


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written and how it did."""

    manifest: Path
    standings: tuple[Standing, ...]


def export(settings: Settings, source: ModelManifest, plan: ExportPlan, say: Say) -> Exported:
    """Writes weights and `model.toml` into `plan.out`, all or nothing.

    Raises `ConfigurationError` for what cannot be asked, and `ModelRefused` when a tool cannot convert the model or the
    result does not see what the source sees.
    """
    checkpoint = _check(source, plan)
    images = golden_images(plan.images)
    calibrating = images[::2] if plan.precision == "int8" else []
    frames, _ = prepared(images[1::2] if calibrating else images, source.input)
    with _whole(plan.out) as draft:
        say(f"exporting {source.ref} to {plan.target} {plan.precision} ...")
        made = _onnx(source, plan, calibrating, checkpoint, draft)
        weights = _weights(settings, made, plan, draft)
        text = _described(source, plan, weights, len(calibrating))
        serving = ModelManifest.parse(text, str(draft / "model.toml"), directory=draft)
        rivals = contenders(settings, source, made if plan.target == "openvino" else serving, plan.target)
        standings = tuple(contest(rivals, source, frames, say))
        _require(standings, plan, say)
        (draft / "model.toml").write_text(_with_standings(text, standings), "utf-8")
        if made is not source and made.weights != weights[0]:
            made.weights.unlink()
    return Exported(plan.out / "model.toml", standings)


def _check(source: ModelManifest, plan: ExportPlan) -> bool:
    """Whether the source is a checkpoint."""
    with source.weights.open("rb") as file:
        checkpoint = format_of(file.read(4)) == "torch"
    if plan.precision not in _POSSIBLE[plan.target]:
        possible = ", ".join(_POSSIBLE[plan.target])
        raise ConfigurationError(f"{plan.target} is exported in {possible}, not in {plan.precision}")
    if checkpoint and (plan.target, plan.precision) != ("onnx", "f32"):
        raise ConfigurationError(
            f"{source.weights} is a checkpoint: export it to onnx first, then that to {plan.target}"
        )
    if not checkpoint and (plan.target, plan.precision) == ("onnx", "f32"):
        raise ConfigurationError(f"{source.weights} is an ONNX file already: give --precision int8, or another --to")
    if source.task == "classify":
        raise ModelRefused(f"{source.ref} finds no boxes by which an export could be measured: give a detector")
    if plan.out.exists():
        raise ConfigurationError(f"{plan.out} exists: name a directory that does not, nothing is written over")
    if plan.precision == "int8":
        _check_images(plan)
        if exports.is_quantised(source):
            raise ConfigurationError(f"{source.weights} is INT8 already: export from the f32 model")
    return checkpoint


def _check_images(plan: ExportPlan) -> None:
    if plan.images is None:
        raise ConfigurationError(
            f"INT8 needs pictures to take its scales from: --images DIR with {LEAST_IMAGES} or more"
        )
    if len(golden_images(plan.images)) < LEAST_IMAGES:
        raise ConfigurationError(f"{plan.images} holds too few pictures for INT8: give {LEAST_IMAGES} or more")


@contextlib.contextmanager
def _whole(out: Path) -> Iterator[Path]:
    """A directory beside `out` that takes its name at the end, and is gone when something fails."""
    draft = out.with_name(f".{out.name}.partial")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        yield draft
        draft.rename(out)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _onnx(
    source: ModelManifest, plan: ExportPlan, calibrating: Sequence[Golden], checkpoint: bool, draft: Path
) -> ModelManifest:
    """The ONNX file that everything else is made from: the source itself, or a new one in `draft`."""
    if checkpoint:
        data = exports.checkpoint_to_onnx(source)
    elif calibrating:
        batches = [_batch(frame, source) for frame in prepared(calibrating, source.input)[0]]
        data = exports.to_int8(source, batches, for_tensorrt=plan.target == "tensorrt")
    else:
        return source
    weights = draft / "model.onnx"
    weights.write_bytes(data)
    return ModelManifest.parse(_described(source, plan, [weights], len(calibrating)), str(weights), directory=draft)


def _batch(frame: Frame, source: ModelManifest) -> NDArray[np.float32]:
    """(1, 3, height, width) as the runtimes feed it."""
    padded = pad(*frame, source.input.pad_value)
    ordered = padded[..., ::-1] if source.input.color == "bgr" else padded
    return ordered.transpose(2, 0, 1)[None] * np.float32(source.input.scale)


def _weights(settings: Settings, made: ModelManifest, plan: ExportPlan, draft: Path) -> list[Path]:
    """The files that are written; the first is the one that the manifest names."""
    if plan.target == "onnx":
        return [made.weights]
    if plan.target == "openvino":
        file = draft / "model.xml"
        exports.save_openvino_ir(made, file, half=plan.precision == "f16")
        return [file, file.with_suffix(".bin")]
    data, _ = exports.tensorrt_engine_file(settings, made, "f32" if plan.precision == "f32" else "auto")
    file = draft / "model.engine"
    file.write_bytes(data)
    return [file]


def _described(source: ModelManifest, plan: ExportPlan, weights: Sequence[Path], calibrated_on: int) -> str:
    """The source's `model.toml` with the new weights and [export]. What was measured on the old ones moves there."""
    document: Any = tomlkit.parse(source.text)
    document["version"] = f"{source.version}-{plan.target}-{plan.precision}"
    document["file"] = weights[0].name
    document["sha256"] = _sha256(weights[0])
    if weights[0].suffix == ".onnx" and source.weights.suffix == ".pt":
        document["input"]["dynamic_batch"] = True
    facts: dict[str, Any] = {
        "to": plan.target,
        "precision": plan.precision,
        "source": source.ref,
        "source_sha256": source.sha256,
        "date": datetime.now(UTC).date().isoformat(),
        "tools": _versions(),
    }
    if calibrated_on:
        facts["calibrated_on_images"] = calibrated_on
    if len(weights) > 1:
        facts["beside"] = {file.name: _sha256(file) for file in weights[1:]}
    for table in ("metrics", "check"):
        if table in document:
            facts[f"source_{table}"] = document.pop(table).unwrap()
    document["export"] = facts
    return tomlkit.dumps(document)


def _with_standings(text: str, standings: Sequence[Standing]) -> str:
    document: Any = tomlkit.parse(text)
    document["export"]["measured"] = [standing.to_json() for standing in standings]
    return tomlkit.dumps(document)


def _require(standings: Sequence[Standing], plan: ExportPlan, say: Say) -> None:
    """One engine that may serve the export is enough; which one is in the table and in [export]."""
    ours = [(standing.agreed, standing) for standing in standings if standing.of_export]
    known = [(agreed, standing) for agreed, standing in ours if agreed is not None]
    if not known:
        raise ConfigurationError(
            "no picture shows a clear box, so nothing is known: give --images DIR with some that do"
        )
    agreed, best = max(known, key=lambda one: one[0])
    if agreed < plan.least_agreement:
        for standing in standings:
            say(str(standing))
        raise ModelRefused(
            f"{best.name} agrees with the source in {agreed:.1%} of the clear boxes, {plan.least_agreement:.0%} are asked: "
            f"{best.agreement}. Nothing was written; keep the source's precision, calibrate on more pictures of your own "
            "docks, or accept less with --least-agreement"
        )


def _versions() -> dict[str, str]:
    versions = {"framegate": __version__}
    for package in _PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    return versions


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
