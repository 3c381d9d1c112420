"""From a checkpoint file to the network in it."""

import io
import logging
from pathlib import Path
from typing import Any, Final

import torch
from ultralytics.nn.tasks import ClassificationModel, DetectionModel
from ultralytics.utils import LOGGER

from framegate.kernel.errors import ModelRefused
from framegate.kernel.manifest import Head, ModelManifest
from framegate.kernel.serving import check_input, read_checked
from framegate.kernel.weights import Shape, WeightsFacts

_EXPORT: Final = "export the model to ONNX and serve that"


def load_network(manifest: ModelManifest) -> Any:
    """The fused network (`torch.nn.Module`, f32, on the CPU) whose output has the manifest's head; raises `ModelRefused`.

    A checkpoint is a pickle: to load it is to run the code in it. Only the file whose sha256 the manifest states is
    loaded, so whoever writes the manifest must trust the file. Never make one for a checkpoint that was uploaded.
    """
    LOGGER.setLevel(logging.ERROR)
    network = _unpickled(read_checked(manifest), manifest.weights)
    _check_kind(network, manifest)
    _check_classes(network, manifest)
    _check_size(network, manifest)
    if manifest.head is not Head.CLASSIFY:
        _choose_branch(network, manifest)
    return network.float().fuse(verbose=False).eval().requires_grad_(False)


def describe_checkpoint(data: bytes, where: Path) -> WeightsFacts:
    """What a checkpoint says about itself. That runs the code in it: for files that the operator trusts only.

    Raises `ModelRefused`.
    """
    LOGGER.setLevel(logging.ERROR)
    network = _unpickled(data, where)
    if type(network) not in (DetectionModel, ClassificationModel):
        raise ModelRefused(f"{where} is a {type(network).__name__}: only detectors and classifiers can be served")
    classes, detects = _names(network), type(network) is DetectionModel
    if detects:
        # A head with both branches says false until somebody asks for the one without NMS.
        network.model[-1].end2end = True
    end2end = detects and bool(getattr(network.model[-1], "end2end", False))
    said = getattr(network, "args", None) or {}
    side = said.get("imgsz") if isinstance(said, dict) else None
    detections: Shape = (None, None, 6) if end2end else (None, 4 + len(classes), None)
    return WeightsFacts(
        format="torch",
        input_name="images",
        input_shape=(None, 3, None, None),
        output_shape=detections if detects else (None, len(classes)),
        classes=classes,
        size=(side, side) if isinstance(side, int) else None,
        stride=int(torch.as_tensor(network.stride).max()),
        task="detect" if detects else "classify",
        end2end=end2end,
        origin=type(network).__name__,
    )


def _unpickled(data: bytes, where: Path) -> Any:
    try:
        checkpoint = torch.load(io.BytesIO(data), map_location="cpu", weights_only=False)
    except Exception as error:
        # A damaged or foreign pickle raises whatever its instructions lead to.
        raise ModelRefused(
            f"torch {torch.__version__} cannot load {where}: {type(error).__name__}: {brief(error)}; "
            "it is damaged or no checkpoint of ultralytics: copy it again, or save it again with this release of it"
        ) from error
    # While training goes on, the averaged weights are kept beside; they are what `best.pt` has in the end.
    network = (checkpoint.get("ema") or checkpoint.get("model")) if isinstance(checkpoint, dict) else checkpoint
    if not isinstance(network, torch.nn.Module):
        raise ModelRefused(
            f"{where} holds no network but {type(network).__name__}: give the best.pt that ultralytics wrote"
        )
    return network


def _check_kind(network: Any, manifest: ModelManifest) -> None:
    # Segmentation and pose networks are subclasses of the detector and have further outputs.
    wanted = ClassificationModel if manifest.head is Head.CLASSIFY else DetectionModel
    if type(network) is not wanted:
        raise ModelRefused(
            f"{manifest.weights} is a {type(network).__name__}, the head {manifest.head.value} needs a "
            f"{wanted.__name__} of ultralytics: correct [model] head in its manifest, or {_EXPORT}"
        )


def _check_classes(network: Any, manifest: ModelManifest) -> None:
    classes = _names(network)
    if classes != manifest.classes:
        raise ModelRefused(
            f"{manifest.weights} was trained on the classes {list(classes)}, its manifest says "
            f"{list(manifest.classes)}: correct [model] classes"
        )


def _names(network: Any) -> tuple[str, ...]:
    names = network.names
    return tuple(str(names[i]) for i in sorted(names)) if isinstance(names, dict) else tuple(map(str, names))


def _check_size(network: Any, manifest: ModelManifest) -> None:
    want = manifest.input
    check_input(manifest, {want.name: (None, 3, None, None)})
    stride = int(torch.as_tensor(network.stride).max())
    if want.width % stride or want.height % stride:
        raise ModelRefused(
            f"{manifest.weights} takes sides that are multiples of {stride}, not {want.width} x {want.height}: "
            "correct [input] in its manifest"
        )


def _choose_branch(network: Any, manifest: ModelManifest) -> None:
    """YOLO26 and YOLOv10 have both branches; fusing drops the one that is not chosen here."""
    head = network.model[-1]
    head.end2end = manifest.head is Head.END2END
    found = Head.END2END if head.end2end else Head.ANCHORS
    if found is not manifest.head:
        raise ModelRefused(
            f"{manifest.weights} gives the head {found.value} only: correct [model] head = "
            f"{manifest.head.value!r} in its manifest"
        )


def brief(error: Exception) -> str:
    """One line of at most 300 characters."""
    return " ".join(str(error).split())[:300]
