"""From a checkpoint file to the network in it."""

import io
import logging
from typing import Any, Final

import torch
from ultralytics.nn.tasks import ClassificationModel, DetectionModel
from ultralytics.utils import LOGGER

from framegate.kernel.errors import ModelRefused
from framegate.kernel.manifest import Head, ModelManifest
from framegate.kernel.serving import check_input, read_checked

_EXPORT: Final = "export the model to ONNX and serve that"


def load_network(manifest: ModelManifest) -> Any:
    """The fused network (`torch.nn.Module`, f32, on the CPU) whose output has the manifest's head; raises `ModelRefused`.

    A checkpoint is a pickle: to load it is to run the code in it. Only the file whose sha256 the manifest states is
    loaded, so whoever writes the manifest must trust the file. Never make one for a checkpoint that was uploaded.
    """
    LOGGER.setLevel(logging.ERROR)
    network = _unpickled(manifest)
    _check_kind(network, manifest)
    _check_classes(network, manifest)
    _check_size(network, manifest)
    if manifest.head is not Head.CLASSIFY:
        _choose_branch(network, manifest)
    return network.float().fuse(verbose=False).eval().requires_grad_(False)


def _unpickled(manifest: ModelManifest) -> Any:
    data = read_checked(manifest)
    try:
        checkpoint = torch.load(io.BytesIO(data), map_location="cpu", weights_only=False)
    except Exception as error:
        # A damaged or foreign pickle raises whatever its instructions lead to.
        raise ModelRefused(
            f"torch {torch.__version__} cannot load {manifest.weights}: {type(error).__name__}: {brief(error)}; "
            "it is damaged or no checkpoint of ultralytics: copy it again, or save it again with this release of it"
        ) from error
    # While training goes on, the averaged weights are kept beside; they are what `best.pt` has in the end.
    network = (checkpoint.get("ema") or checkpoint.get("model")) if isinstance(checkpoint, dict) else checkpoint
    if not isinstance(network, torch.nn.Module):
        raise ModelRefused(
            f"{manifest.weights} holds no network but {type(network).__name__}: give the best.pt that ultralytics wrote"
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
    names = network.names
    classes = tuple(str(names[i]) for i in sorted(names)) if isinstance(names, dict) else tuple(map(str, names))
    if classes != manifest.classes:
        raise ModelRefused(
            f"{manifest.weights} was trained on the classes {list(classes)}, its manifest says "
            f"{list(manifest.classes)}: correct [model] classes"
        )


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
