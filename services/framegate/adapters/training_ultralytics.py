"""Training with ultralytics: offline, without its chatter, on frames that it does not resize.

On a GPU it has never run here.
"""

import logging
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import onnx
import torch
import ultralytics.data.utils
import ultralytics.engine.trainer
import yaml
from ultralytics import YOLO
from ultralytics.data import build_yolo_dataset
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.nn.tasks import DetectionModel, load_checkpoint
from ultralytics.utils import LOGGER

from framegate.kernel.errors import ConfigurationError
from framegate.kernel.manifest import Head
from framegate.ports.training import Epoch, Trained, TrainingPlan

_FROM_SCRATCH: Final = "yolo26n.yaml"
_OPSET: Final = 18
_METRICS: Final = {
    "metrics/mAP50(B)": "map50",
    "metrics/mAP50-95(B)": "map50_95",
    "metrics/precision(B)": "precision",
    "metrics/recall(B)": "recall",
}
_KEPT: Final = frozenset({"names", "task", "imgsz", "stride", "end2end", "channels", "license"})
_TOOLS: Final = ("ultralytics", "torch", "onnx")


class _SquareRun(DetectionTrainer):  # type: ignore[misc]
    """Validates on the square, grey-padded frames that the pipeline makes, not on tight rectangles.

    Its name must not contain the word that ultralytics looks for: classes with it stream their runs to third parties.
    """

    def build_dataset(self, img_path: Any, mode: str = "train", batch: int | None = None) -> Any:
        stride = max(int(self.model.stride.max()), 32)
        return build_yolo_dataset(self.args, img_path, batch, self.data, mode=mode, rect=False, stride=stride)


class UltralyticsTrainer:
    """See `framegate.ports.training`."""

    def __init__(self) -> None:
        """Quietens the library and takes away what would fetch fonts, and weights to try mixed precision with."""
        LOGGER.setLevel(logging.ERROR)
        ultralytics.data.utils.check_font = lambda *_: None
        ultralytics.engine.trainer.check_amp = lambda model: next(model.parameters()).is_cuda

    def train(self, plan: TrainingPlan, run: Path, resume: bool, progress: Callable[[Epoch], None]) -> Trained:
        """See `framegate.ports.training`."""
        best, last = run / "weights" / "best.pt", run / "weights" / "last.pt"
        with warnings.catch_warnings():
            # Of ultralytics towards torch, and of torch's ONNX exporter towards itself.
            warnings.simplefilter("ignore")
            if not (resume and _is_finished(last)):
                _run(_options(plan, run) | ({"resume": str(last)} if resume else {}), progress)
            network, checkpoint = load_checkpoint(best)
            head = Head.END2END if getattr(network.model[-1], "one2one_cv2", None) is not None else Head.ANCHORS
            exported = _export(best, plan.size)
        tools = {name: version(name) for name in _TOOLS}
        return Trained(exported, best, head, _metrics(checkpoint["train_metrics"]), tools)


def _options(plan: TrainingPlan, run: Path) -> dict[str, Any]:
    if plan.weights is not None:
        _check_start(plan.weights)
    data = run / "data.yaml"
    description = {"train": str(plan.train / "images"), "val": str(plan.val / "images"), "names": list(plan.classes)}
    data.write_text(yaml.safe_dump(description), "utf-8")
    return {
        "task": "detect",
        "model": str(plan.weights or _FROM_SCRATCH),
        "data": str(data),
        "epochs": plan.epochs,
        "imgsz": plan.size,
        "batch": plan.batch,
        "seed": plan.seed,
        "deterministic": True,
        "nms": False,  # judges the branch that is exported
        "plots": False,
        "project": str(run.parent),
        "name": run.name,
        "exist_ok": True,
    }


def _check_start(weights: Path) -> None:
    try:
        network, _ = load_checkpoint(weights)
    except Exception as error:
        # A damaged or foreign pickle raises whatever its instructions lead to.
        raise ConfigurationError(
            f"{weights} is no checkpoint of ultralytics: {' '.join(str(error).split())[:300]}"
        ) from error
    if type(network) is not DetectionModel:
        raise ConfigurationError(f"{weights} is a {type(network).__name__}: start from a detector, or from scratch")


def _is_finished(last: Path) -> bool:
    """A finished run's checkpoint has no optimizer any more; what is left to do is the export."""
    return load_checkpoint(last)[1].get("optimizer") is None


def _run(options: dict[str, Any], progress: Callable[[Epoch], None]) -> None:
    training = _SquareRun(overrides=options)
    began: list[float] = []

    def ended(training: Any) -> None:
        done, left = training.epoch + 1 - training.start_epoch, training.epochs - training.epoch - 1
        seconds = (time.monotonic() - began[0]) / done * left
        progress(Epoch(training.epoch + 1, training.epochs, seconds, _metrics(training.metrics)))

    training.add_callback("on_train_start", lambda _: began.append(time.monotonic()))
    training.add_callback("on_model_save", ended)
    try:
        training.train()
    except torch.OutOfMemoryError as error:
        raise ConfigurationError("the GPU has not enough memory for this batch: lower --batch, or --size") from error


def _metrics(found: dict[str, Any]) -> dict[str, float]:
    return {ours: round(float(found[theirs]), 4) for theirs, ours in _METRICS.items() if theirs in found}


def _export(checkpoint: Path, size: int) -> Path:
    exported = YOLO(str(checkpoint)).export(
        format="onnx", dynamic=True, imgsz=size, simplify=False, opset=_OPSET, nms=False, device="cpu"
    )
    # The exporter writes the time and the paths of this machine into the file.
    graph = onnx.load(exported)
    kept = {entry.key: entry.value for entry in graph.metadata_props if entry.key in _KEPT}
    onnx.helper.set_model_props(graph, kept)
    onnx.save(graph, exported)
    return Path(exported)
