"""ONNX Runtime: on any CPU, and on NVIDIA through its CUDA provider where `onnxruntime-gpu` is installed."""

import re
from typing import Any, Final, Literal

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from framegate.kernel.errors import EngineFault, ModelRefused, Unrecoverable
from framegate.kernel.manifest import ModelManifest
from framegate.kernel.serving import check_frames, check_input, read_weights

Device = Literal["auto", "cpu", "cuda"]
_CUDA, _CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
_DTYPES: Final[dict[str, type[np.floating[Any]]]] = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
_ERRORS_ONLY = 3
#: A CUDA error other than 2 (out of memory) stays with the context: no later call can succeed.
_CUDA_ERROR: Final = re.compile(r"CUDA (?:failure|error) (?!2\b)\d+|CUDNN failure|CUBLAS failure", re.IGNORECASE)


class OnnxRuntimeEngine:
    """Frames are scaled and transposed by NumPy into one reused buffer."""

    def __init__(self, manifest: ModelManifest, max_batch: int, threads: int, device: Device = "auto") -> None:
        """Loads; raises `ModelRefused`. A model with a fixed batch sets `max_batch` itself.

        Device auto is CUDA where its provider is installed and starts, else the CPU.
        """
        self._manifest = manifest
        self._session = _session(manifest, threads, device)
        inputs = self._session.get_inputs()
        shapes = {i.name: [d if isinstance(d, int) else None for d in i.shape] for i in inputs}
        self._fixed = check_input(manifest, shapes)
        self.max_batch = self._fixed or max_batch
        if inputs[0].type not in _DTYPES or len(self._session.get_outputs()) != 1:
            raise ModelRefused(f"{manifest.weights} must take float32 or float16 and give one output: export it again")
        size = (manifest.input.height, manifest.input.width)
        self._buffer = np.zeros((self.max_batch, 3, *size), _DTYPES[inputs[0].type])
        used = "cuda" if self._session.get_providers()[0] == _CUDA else "cpu"
        self.description = f"onnxruntime {ort.__version__} {used} {'f32' if self._buffer.itemsize == 4 else 'f16'}"

    def infer(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `framegate.ports.engine`."""
        n = check_frames(self._manifest, self.max_batch, frames)
        batch = self._batch(frames)
        try:
            output: NDArray[Any] = self._session.run(None, {self._manifest.input.name: batch})[0]
        except Exception as error:
            # The bindings' errors share no base class but Exception.
            if _CUDA_ERROR.search(str(error)):
                raise Unrecoverable(f"the GPU is lost to this process: {_brief(error)}") from error
            raise EngineFault(f"ONNX Runtime could not infer {n} frames: {_brief(error)}") from error
        if output.ndim < 2 or len(output) != len(batch):
            raise EngineFault(f"ONNX Runtime answered {n} frames with an output of shape {output.shape}")
        return output[:n].astype(np.float32, copy=False)

    def close(self) -> None:
        """Frees the session."""
        del self._session

    def _batch(self, frames: NDArray[np.uint8]) -> NDArray[np.floating[Any]]:
        ordered = frames[..., ::-1] if self._manifest.input.color == "bgr" else frames
        scale, n = self._buffer.dtype.type(self._manifest.input.scale), len(frames)
        np.multiply(ordered.transpose(0, 3, 1, 2), scale, out=self._buffer[:n])
        if self._fixed is None:
            return self._buffer[:n]
        self._buffer[n:] = self._buffer[n - 1]
        return self._buffer


def _session(manifest: ModelManifest, threads: int, device: Device) -> Any:
    data = read_weights(manifest)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    wanted = [_CPU] if device == "cpu" else [p for p in (_CUDA, _CPU) if p in ort.get_available_providers()]
    try:
        session = ort.InferenceSession(data, options, providers=wanted)
    except Exception as error:
        # The bindings' errors share no base class but Exception.
        raise ModelRefused(
            f"ONNX Runtime {ort.__version__} cannot load {manifest.weights}: {_brief(error)}; "
            "export it again or use another engine"
        ) from error
    if device == "cuda" and _CUDA not in session.get_providers():
        raise ModelRefused(
            f"{manifest.weights} shall be served on CUDA, but ONNX Runtime has no CUDA here: "
            "install onnxruntime-gpu in place of onnxruntime, check the driver, or use the CPU"
        )
    return session


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
