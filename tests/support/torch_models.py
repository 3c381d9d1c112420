"""Checkpoints as ultralytics writes them, made on the spot; torch is imported when one is asked for."""

import hashlib
import importlib
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import numpy_helper

from framegate.environment import keep_ultralytics_offline
from framegate.kernel.manifest import ModelManifest
from framegate.ports.engine import Engine
from framegate.starter import starter_dir

#: Set where torch must be there: its absence then fails the tests that need it.
REQUIRED = "FRAMEGATE_TEST_TORCH"


def require_torch() -> Any:
    """The module torch; skips the test without it, or fails it where `REQUIRED` is set."""
    keep_ultralytics_offline()
    try:
        importlib.import_module("ultralytics.nn.tasks")
        return importlib.import_module("torch")
    except ImportError as error:
        if os.environ.get(REQUIRED):
            pytest.fail(f"{REQUIRED} is set, but {error}")
        pytest.skip(f"{error}: pip install 'framegate[torch]'")


def write_checkpoint(path: Path, network: Any) -> Path:
    """The entries of a `best.pt` that was stripped of its optimizer."""
    torch = require_torch()
    checkpoint = {"epoch": -1, "model": network, "ema": None, "optimizer": None, "train_args": {}, "version": "8.4"}
    torch.save(checkpoint, path)
    return path


def with_checkpoint(manifest: ModelManifest, path: Path) -> ModelManifest:
    """`manifest` for the weights at `path`."""
    return replace(manifest, weights=path, sha256=hashlib.sha256(path.read_bytes()).hexdigest())


def random_network(classes: tuple[str, ...], architecture: str = "yolo26n.yaml", kind: str = "DetectionModel") -> Any:
    """An untrained network, always the same."""
    torch = require_torch()
    torch.manual_seed(1)
    tasks = importlib.import_module("ultralytics.nn.tasks")
    network = getattr(tasks, kind)(architecture, nc=len(classes), verbose=False)
    network.names = dict(enumerate(classes))
    return network


def starter_checkpoint(path: Path) -> ModelManifest:
    """The starter as a checkpoint: its ONNX file names every tensor of the fused network, so nothing needs to be trained."""
    torch = require_torch()
    starter = ModelManifest.load(starter_dir())
    network = random_network(starter.classes)
    network.model[-1].end2end = True
    network.fuse(verbose=False)
    tensors = onnx.load(starter.weights).graph.initializer
    weights = {
        t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in tensors if t.name.startswith("model.")
    }
    network.load_state_dict(weights, strict=True)
    return with_checkpoint(starter, write_checkpoint(path, network))


def telling_engine(manifest: ModelManifest, max_batch: int, layer: str = "Telling") -> Engine:
    """An engine on a checkpoint that does what the tiny ONNX file of `manifest` does; `layer` is in `telling`."""
    torch = require_torch()
    from framegate.adapters.engine_torch import TorchEngine
    from tests.support import telling

    network = random_network(manifest.classes)
    network.model = torch.nn.Sequential(getattr(telling, layer)())
    path = write_checkpoint(manifest.weights.with_suffix(".pt"), network)
    return TorchEngine(with_checkpoint(manifest, path), max_batch, threads=1, device="cpu")
