"""Training: a labelled set in, a model in the form that the pipeline serves out.

Training sees the frames as the pipeline will: each image is decoded, turned upright and scaled once by the very code of the
preprocess stage, and stored without loss at that size. What trains then finds them at their final size, resizes nothing,
and adds the same grey padding; a test holds the installed ultralytics to it, pixel by pixel.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from framegate.bootstrap import make_engine
from framegate.inference.heads import decode_head
from framegate.kernel.errors import ConfigurationError, EngineFault, InvalidFrame
from framegate.kernel.ids import is_name
from framegate.kernel.imagefile import inspect_file
from framegate.kernel.manifest import MAX_SIDE, MIN_SIDE, ModelInput, ModelManifest
from framegate.models.dataset import DataSet, Example, read_dataset
from framegate.models.manifest_text import written
from framegate.ports.training import Epoch, Trained, Trainer, TrainingPlan
from framegate.preprocess.decode import decode
from framegate.preprocess.letterbox import prepare
from framegate.settings import Settings

#: The strides of the families that are trained; a side must be a multiple of the largest.
_STRIDE: Final = 32
#: ultralytics drops images with a shorter side, without an error.
_THINNEST: Final = 10
_FLOOR: Final = 0.05


@dataclass(frozen=True, slots=True)
class Order:
    """What the user asked for."""

    data_set: Path
    name: str
    version: str
    licence: str
    epochs: int
    size: int
    batch: int
    seed: int
    weights: Path | None = None


def train(
    order: Order, out: Path, trainer: Trainer, prepared: Callable[[int, int], None], progress: Callable[[Epoch], None]
) -> ModelManifest:
    """A new run: its work goes to `out`/run, the model to `out`. Raises `ConfigurationError`, before anything is written
    where it is the order's or the data set's fault.
    """
    _check(order)
    run = out.resolve() / "run"
    if run.exists():
        raise ConfigurationError(f"{out} has a run already: go on with it by --resume, or give another --out")
    data = read_dataset(order.data_set)
    _prepare(data.train, run / "train", order.size, prepared)
    _prepare(data.val, run / "val", order.size, prepared)
    # Written last: a run with an order has all its frames.
    (run / "order.json").write_text(json.dumps(_to_json(order) | {"sha256": data.sha256}), "utf-8")
    return _finish(order, data, out, trainer.train(_plan(order, data, run), run, False, progress))


def resume(out: Path, trainer: Trainer, progress: Callable[[Epoch], None]) -> ModelManifest:
    """Goes on with the run in `out` after its last whole epoch; raises `ConfigurationError` when there is none, or when the
    data set is not the one it began with.
    """
    run = out.resolve() / "run"
    try:
        written = json.loads((run / "order.json").read_text("utf-8"))
    except OSError as error:
        raise ConfigurationError(
            f"{out} has no run to resume: start one without --resume, in an empty folder"
        ) from error
    if not (run / "weights" / "last.pt").exists():
        raise ConfigurationError(f"the run in {out} did not end its first epoch: remove {run} and start again")
    sha256 = written.pop("sha256")
    order = _from_json(written)
    data = read_dataset(order.data_set)
    if data.sha256 != sha256:
        raise ConfigurationError(f"{order.data_set} has changed since the run in {out} began: start another run")
    return _finish(order, data, out, trainer.train(_plan(order, data, run), run, True, progress))


def _check(order: Order) -> None:
    for text, option in ((order.name, "--name"), (order.version, "--version")):
        if not is_name(text):
            raise ConfigurationError(f"{option} {text!r} cannot be used: use letters, digits and . _ : -")
    if order.size % _STRIDE or not MIN_SIDE <= order.size <= MAX_SIDE:
        raise ConfigurationError(f"--size {order.size}: give a multiple of {_STRIDE} from {MIN_SIDE} to {MAX_SIDE}")
    if order.weights is not None and not order.weights.is_file():
        raise ConfigurationError(f"--weights {order.weights}: there is no such file")


def _input(size: int) -> ModelInput:
    return ModelInput(width=size, height=size, dynamic_batch=True, dynamic_size=True)


def _plan(order: Order, data: DataSet, run: Path) -> TrainingPlan:
    return TrainingPlan(
        train=run / "train",
        val=run / "val",
        classes=data.classes,
        size=order.size,
        epochs=order.epochs,
        batch=order.batch,
        seed=order.seed,
        weights=order.weights,
    )


def _prepare(examples: Sequence[Example], folder: Path, size: int, prepared: Callable[[int, int], None]) -> None:
    """PNG: without loss, so that what is trained on is what the pipeline sees."""
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True)
    for number, example in enumerate(examples):
        data = example.image.read_bytes()
        header = inspect_file(data)
        try:
            content, box = prepare(decode(data, header.media_type, header.orientation), _input(size))
        except InvalidFrame as error:
            raise ConfigurationError(f"{example.image} cannot be trained on: {error}") from error
        if min(box.content_width, box.content_height) < _THINNEST:
            raise ConfigurationError(
                f"{example.image} is only {_THINNEST} pixels thin or less at --size {size}: remove it"
            )
        stem = f"{number:06d}"
        if not cv2.imwrite(
            str(folder / "images" / f"{stem}.png"), content[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1]
        ):
            raise ConfigurationError(f"cannot write to {folder}: is the disk full?")
        if example.labels is not None:
            shutil.copyfile(example.labels, folder / "labels" / f"{stem}.txt")
        prepared(number + 1, len(examples))


def _finish(order: Order, data: DataSet, out: Path, trained: Trained) -> ModelManifest:
    weights, file = out / "model.onnx", out / "model.toml"
    shutil.copyfile(trained.onnx, weights)
    text = written(_document(order, data, trained, hashlib.sha256(weights.read_bytes()).hexdigest()))
    manifest = ModelManifest.parse(text, str(file), directory=out)
    _prove(manifest)
    file.write_text(text, "utf-8")
    return manifest


def _document(order: Order, data: DataSet, trained: Trained, sha256: str) -> dict[str, Any]:
    return {
        "schema": 1,
        "name": order.name,
        "version": order.version,
        "licence": order.licence,
        "file": "model.onnx",
        "sha256": sha256,
        "model": {"task": "detect", "head": trained.head.value, "classes": list(data.classes)},
        "input": asdict(_input(order.size)),
        "thresholds": {"floor": _FLOOR},
        "data": {
            "source": data.directory.resolve().name,
            "sha256": data.sha256,
            "train_images": len(data.train),
            "held_back_images": len(data.val),
            "boxes": data.boxes,
        },
        "training": {
            "epochs": order.epochs,
            "batch": order.batch,
            "seed": order.seed,
            "started_from": _started_from(order.weights),
            "tools": trained.tools,
        },
        "metrics": {"split": f"{len(data.val)} held-back images, {order.size} px"} | trained.metrics,
    }


def _started_from(weights: Path | None) -> str:
    return f"sha256 {hashlib.sha256(weights.read_bytes()).hexdigest()}" if weights else "scratch"


def _prove(manifest: ModelManifest) -> None:
    """One grey frame through the engine that every install has: what was written can be served."""
    engine = make_engine(Settings.read(engine="onnxruntime"), manifest)
    grey = np.full((1, manifest.input.height, manifest.input.width, 3), manifest.input.pad_value, np.uint8)
    [rows] = decode_head(engine.infer(grey), manifest)
    engine.close()
    if isinstance(rows, EngineFault):
        raise rows


def _to_json(order: Order) -> dict[str, Any]:
    return {key: str(value.resolve()) if isinstance(value, Path) else value for key, value in asdict(order).items()}


def _from_json(raw: dict[str, Any]) -> Order:
    weights = raw.pop("weights")
    return Order(**raw | {"data_set": Path(raw["data_set"]), "weights": Path(weights) if weights else None})
