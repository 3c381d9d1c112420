"""What makes other weights out of weights; each tool is loaded when it is used.

All raise `ModelRefused` for what a tool cannot convert, and `ConfigurationError` with the extra that is missing.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from framegate.bootstrap.engines import engine_cache
from framegate.environment import keep_ultralytics_offline
from framegate.kernel.errors import ConfigurationError
from framegate.kernel.manifest import ModelManifest
from framegate.kernel.serving import read_weights
from framegate.settings import Settings


def checkpoint_to_onnx(manifest: ModelManifest) -> bytes:
    """A `.pt` of ultralytics, which is code: only for files that are trusted."""
    keep_ultralytics_offline()
    with _needing("torch"):
        from framegate.adapters.export_ultralytics import checkpoint_to_onnx
    return checkpoint_to_onnx(manifest)


def to_int8(manifest: ModelManifest, batches: Sequence[NDArray[np.float32]], *, for_tensorrt: bool) -> bytes:
    """ONNX with scales from `batches` (n, 3, height, width), the model's own input."""
    with _needing("export"):
        from framegate.adapters import onnx_graphs
    return onnx_graphs.in_int8(read_weights(manifest), manifest, batches, for_tensorrt=for_tensorrt)


def is_quantised(manifest: ModelManifest) -> bool:
    """Whether an ONNX file carries INT8 scales."""
    with _needing("export"):
        from framegate.adapters import onnx_graphs
    return onnx_graphs.is_quantised(read_weights(manifest), manifest)


def save_openvino_ir(manifest: ModelManifest, target: Path, *, half: bool) -> None:
    """`target` (.xml) and the .bin beside it."""
    from framegate.adapters.export_openvino import save_ir

    save_ir(read_weights(manifest), target, half=half)


def tensorrt_engine_file(
    settings: Settings, manifest: ModelManifest, precision: Literal["auto", "f32"]
) -> tuple[bytes, str]:
    """An engine for this host, from the cache or built now, and TensorRT's version."""
    with _needing("gpu"):
        from framegate.adapters import onnx_graphs
        from framegate.adapters.engine_tensorrt import engine_file
    return engine_file(manifest, settings.inference.max_batch, engine_cache(settings), onnx_graphs, precision)


@contextmanager
def _needing(extra: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise ConfigurationError(
            f"this export needs what is not installed ({error}): pip install 'framegate[{extra}]'"
        ) from error
