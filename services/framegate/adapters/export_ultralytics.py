"""A checkpoint of ultralytics to ONNX. Needs the extra `torch`."""

import os
import tempfile
import warnings
from pathlib import Path
from typing import Final

import onnx
from ultralytics import YOLO

from framegate.kernel.errors import ModelRefused
from framegate.kernel.manifest import Head, ModelManifest
from framegate.kernel.serving import read_checked

_OPSET: Final = 18


def checkpoint_to_onnx(manifest: ModelManifest) -> bytes:
    """Any batch, the manifest's head; raises `ModelRefused`.

    To load a checkpoint is to run the code in it: only the file whose sha256 the manifest states is loaded.
    """
    data = read_checked(manifest)
    with tempfile.TemporaryDirectory(prefix="framegate-export-") as directory:
        # ultralytics writes beside the checkpoint and takes relative paths from where it runs.
        source = Path(directory) / "model.pt"
        source.write_bytes(data)
        return _bytes(Path(_export(source, manifest)), manifest)


def _export(source: Path, manifest: ModelManifest) -> str:
    here = Path.cwd()
    os.chdir(source.parent)
    try:
        model = YOLO(str(source))
        size = [manifest.input.height, manifest.input.width]
        # YOLO26 and YOLOv10 have two branches: False takes the one that needs no NMS, None the other.
        nms = False if manifest.head is Head.END2END else None
        options = {"format": "onnx", "dynamic": True, "simplify": False, "opset": _OPSET, "device": "cpu"}
        with warnings.catch_warnings():
            # Of ultralytics towards torch, and of torch's exporter towards itself.
            warnings.simplefilter("ignore")
            return str(model.export(imgsz=size, nms=nms, **options))
    except Exception as error:
        # The exporter raises whatever its parts raise.
        reason = " ".join(str(error).split())[:300]
        raise ModelRefused(f"ultralytics cannot export {manifest.weights}: {reason}") from error
    finally:
        os.chdir(here)


def _bytes(file: Path, manifest: ModelManifest) -> bytes:
    """In one file, without the exporter's date: equal checkpoints give equal files."""
    model = onnx.load(file)
    facts = {entry.key: entry.value for entry in model.metadata_props}
    found = Head.END2END if facts.get("end2end") == "True" else Head.ANCHORS
    if found is not manifest.head:
        raise ModelRefused(
            f"{manifest.weights} gives the head {found.value} only: correct [model] head = {manifest.head.value!r}"
        )
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {key: facts[key] for key in sorted(facts.keys() - {"date", "args"})})
    return bytes(model.SerializeToString())
