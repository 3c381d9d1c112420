"""What an error of torch means for the process."""

import re
from typing import Final

import torch

from framegate.adapters.engine_torch.checkpoint import brief
from framegate.kernel.errors import EngineFault, Unrecoverable

_OUT_OF_MEMORY: Final = re.compile(r"out of memory|ALLOC_FAILED", re.IGNORECASE)
_CUDA_ERROR: Final = re.compile(
    r"CUDA (?:driver )?error|device-side assert|cuDNN error|CUDNN_STATUS|CUBLAS_STATUS", re.IGNORECASE
)


def fault(error: RuntimeError, n: int) -> EngineFault | Unrecoverable:
    """Out of memory passes with this batch; any other CUDA error stays with the context, so no later call can succeed.

    "Sticky" errors: https://docs.nvidia.com/cuda/cuda-runtime-api/group__CUDART__TYPES.html (the process must be terminated).
    """
    text = str(error)
    if isinstance(error, torch.OutOfMemoryError) or _OUT_OF_MEMORY.search(text):
        torch.cuda.empty_cache()  # does nothing where CUDA was never started
        return EngineFault(
            f"the device has not enough memory for {n} frames: {brief(error)}; lower FRAMEGATE_INFERENCE__MAX_BATCH"
        )
    if isinstance(error, torch.AcceleratorError) or _CUDA_ERROR.search(text):
        return Unrecoverable(f"the GPU is lost to this process: {brief(error)}")
    return EngineFault(f"torch could not infer {n} frames: {brief(error)}")
