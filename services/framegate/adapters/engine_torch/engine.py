"""The engine: frames go to the device as bytes and are scaled, turned and cast there."""

from collections.abc import Callable
from typing import Any, Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from framegate.adapters.engine_torch.checkpoint import load_network
from framegate.adapters.engine_torch.faults import fault
from framegate.adapters.engine_torch.running import Execution, runner
from framegate.kernel.errors import EngineFault, ModelRefused
from framegate.kernel.manifest import Head, ModelManifest
from framegate.kernel.serving import check_frames

Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "f32", "f16", "bf16"]
_DTYPES: Final = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
Tensor = Any


class TorchEngine:
    """Any batch from 1 to `max_batch`. On CUDA the first batch of each size is slow: its graph is made and timed."""

    def __init__(
        self,
        manifest: ModelManifest,
        max_batch: int,
        threads: int,
        device: Device = "auto",
        precision: Precision = "auto",
        execution: Execution = "auto",
    ) -> None:
        """Loads; raises `ModelRefused`. `threads` holds for all of torch in this process.

        Device auto is CUDA where there is one; precision auto is f16 on CUDA, f32 on a CPU. Execution auto is whichever
        of eager and CUDA graphs is faster for a batch size; `compile` costs minutes of the start and is never chosen.
        """
        torch.set_num_threads(threads)
        self._manifest, self.max_batch, self._execution = manifest, max_batch, execution
        self._device, name = _device(device, manifest), precision
        if name == "auto":
            name = "f16" if self._device.type == "cuda" else "f32"
        self._dtype = _DTYPES[name]
        network = load_network(manifest)
        if name != "f32" and manifest.head is not Head.CLASSIFY:
            _place_boxes_in_f32(network.model[-1])
        # Frames come with their channels last, and convolutions are faster so on both devices.
        self._network = network.to(self._device, self._dtype, memory_format=torch.channels_last)
        on_gpu = self._device.type == "cuda"
        shape = (max_batch, manifest.input.height, manifest.input.width, 3)
        self._staging = torch.empty(shape, dtype=torch.uint8, pin_memory=on_gpu)
        self._runners: dict[int, Callable[[Tensor], Tensor]] = {}
        self.description = f"torch {torch.__version__.split('+')[0]} {self._device.type} {name}"

    def infer(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `framegate.ports.engine`."""
        n = check_frames(self._manifest, self.max_batch, frames)
        staged = self._staging[:n]
        np.copyto(staged.numpy(), frames)
        try:
            with torch.inference_mode():
                output = self._run(staged)
        except RuntimeError as error:
            raise fault(error, n) from error
        if output.ndim < 2 or len(output) != n:
            raise EngineFault(f"torch answered {n} frames with an output of shape {output.shape}")
        return output

    def close(self) -> None:
        """Frees the network and what the GPU held for it."""
        self._runners.clear()
        del self._network, self._staging
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _run(self, staged: Tensor) -> NDArray[np.float32]:
        n = len(staged)
        batch = staged.to(self._device, non_blocking=True)
        if n not in self._runners:
            self._runners[n] = runner(self.forward, batch, self._execution, self._network)
        output: NDArray[np.float32] = self._runners[n](batch).cpu().numpy()
        return output

    def forward(self, batch: Tensor) -> Tensor:
        """uint8 (n, height, width, 3) on the device -> the raw output there, f32."""
        if self._manifest.input.color == "bgr":
            batch = batch.flip(-1)
        output = self._network(batch.permute(0, 3, 1, 2).to(self._dtype) * self._manifest.input.scale)
        # In evaluation the heads give what training would need beside the result.
        return (output[0] if isinstance(output, tuple) else output).float()


def _device(wanted: Device, manifest: ModelManifest) -> Any:
    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise ModelRefused(
            f"{manifest.weights} shall be served on CUDA, but torch {torch.__version__} sees none: "
            "check the driver and that torch is a CUDA build, or use the CPU"
        )
    return torch.device("cuda" if available and wanted != "cpu" else "cpu")


def _place_boxes_in_f32(head: Any) -> None:
    """What follows the head's convolutions is computed in f32: near the far edge of a 640 px frame f16 places a box to half
    a pixel only, bfloat16 to four.
    """
    place = head._inference

    def in_f32(found: dict[str, Any]) -> Tensor:
        # Of the feature maps only shape, type and device are used.
        maps = [plane[:, :1].float() for plane in found["feats"]]
        return place(found | {"boxes": found["boxes"].float(), "scores": found["scores"].float(), "feats": maps})

    head._inference = in_f32
