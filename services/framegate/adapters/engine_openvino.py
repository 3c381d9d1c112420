"""OpenVINO on the CPU: the default engine."""

from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino.preprocess import ColorFormat, PrePostProcessor

from framegate.kernel.errors import EngineFault, ModelRefused
from framegate.kernel.manifest import ModelManifest
from framegate.kernel.serving import check_frames, check_input, read_weights

_PRECISION_HINT: Final = "INFERENCE_PRECISION_HINT"


class OpenVinoEngine:
    """One compiled model for every batch from 1 to `max_batch`; scaling, layout and colour order are part of it.

    The first frames of each batch size take about 0.1 s more: warm up. Give each process its own core from outside:
    unpinned, processes of one thread choose the same core.
    """

    def __init__(
        self,
        manifest: ModelManifest,
        max_batch: int,
        threads: int,
        precision: Literal["auto", "f32"] = "auto",
        cache: Path | None = None,
    ) -> None:
        """Loads and compiles; raises `ModelRefused`. A model with a fixed batch sets `max_batch` itself.

        Precision auto is bf16 where the processor has it. `cache` is a directory for compiled models, made by this user.
        """
        self._manifest = manifest
        data = read_weights(manifest)
        core = ov.Core()
        try:
            model = core.read_model(data, b"")
            self._fixed = check_input(manifest, _inputs(model))
            self.max_batch = self._fixed or max_batch
            compiled = core.compile_model(
                _with_preprocessing(model, manifest, self.max_batch), "CPU", _properties(threads, precision, cache)
            )
            self._request = compiled.create_infer_request()
        except RuntimeError as error:
            raise ModelRefused(
                f"OpenVINO {_version()} cannot load {manifest.weights}: {_brief(error)}; export it again or use another engine"
            ) from error
        self.description = f"openvino {_version()} cpu {compiled.get_property(_PRECISION_HINT).get_type_name()}"
        self._padded = np.zeros((self.max_batch, manifest.input.height, manifest.input.width, 3), np.uint8)

    def infer(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `framegate.ports.engine`. C-contiguous `frames` are read where they lie."""
        n = check_frames(self._manifest, self.max_batch, frames)
        # A shared tensor is a bare pointer: the name keeps a copied batch alive until it has been read.
        batch = self._batch(frames)
        try:
            self._request.set_input_tensor(ov.Tensor(batch, shared_memory=True))
            self._request.infer()
            output = self._request.get_output_tensor(0).data
        except RuntimeError as error:
            raise EngineFault(f"OpenVINO could not infer {n} frames: {_brief(error)}") from error
        if output.ndim < 2 or len(output) != len(batch):
            raise EngineFault(f"OpenVINO answered {n} frames with an output of shape {output.shape}")
        # The request owns `output` and overwrites it with the next batch.
        return np.array(output[:n], np.float32)

    def close(self) -> None:
        """Frees the compiled model."""
        del self._request

    def _batch(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if self._fixed is None or len(frames) == self._fixed:
            return np.ascontiguousarray(frames)
        self._padded[: len(frames)] = frames
        self._padded[len(frames) :] = frames[-1]
        return self._padded


def _inputs(model: Any) -> dict[str, list[int | None]]:
    return {
        port.get_any_name(): [None if d.is_dynamic else d.get_length() for d in port.get_partial_shape()]
        for port in model.inputs
    }


def _with_preprocessing(model: Any, manifest: ModelManifest, max_batch: int) -> Any:
    """uint8 RGB (n, height, width, 3) in, float32 out."""
    if len(model.outputs) != 1:
        raise ModelRefused(f"{manifest.weights} has {len(model.outputs)} outputs: export a detector with one")
    want = manifest.input
    batch = ov.Dimension(1, max_batch) if want.dynamic_batch else model.input().get_partial_shape()[0]
    model.reshape(ov.PartialShape([batch, 3, want.height, want.width]))
    element_type = model.input().get_element_type()
    steps = PrePostProcessor(model)
    frames = steps.input()
    frames.tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC")).set_color_format(ColorFormat.RGB)
    frames.model().set_layout(ov.Layout("NCHW"))
    if want.color == "bgr":
        frames.preprocess().convert_color(ColorFormat.BGR)
    frames.preprocess().convert_element_type(ov.Type.f32)
    if want.scale != 1:
        frames.preprocess().scale(1 / want.scale)
    frames.preprocess().convert_element_type(element_type)
    steps.output().tensor().set_element_type(ov.Type.f32)
    return steps.build()


def _properties(threads: int, precision: Literal["auto", "f32"], cache: Path | None) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": threads,
        "ENABLE_CPU_PINNING": False,
    }
    if precision == "f32":
        properties[_PRECISION_HINT] = ov.Type.f32
    if cache is not None:
        properties["CACHE_DIR"] = str(cache)
    return properties


def _version() -> str:
    return str(ov.__version__).split("-", 1)[0]


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
