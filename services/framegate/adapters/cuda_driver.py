"""Whether an NVIDIA driver with a device is there, asked of the driver alone: no runtime is loaded for it.

TensorRT 11 ends the process when it meets no driver, so this comes before any of its functions.
"""

import ctypes
from functools import cache
from typing import Final

_LIBRARY: Final = "libcuda.so.1"


@cache
def cuda_trouble() -> str:
    """Why CUDA cannot be used in this process; empty when it can.

    `cuInit` and `cuDeviceGetCount`: https://docs.nvidia.com/cuda/cuda-driver-api/
    """
    try:
        driver = ctypes.CDLL(_LIBRARY)
    except OSError:
        return f"no CUDA: there is no NVIDIA driver ({_LIBRARY})"
    count = ctypes.c_int()
    code = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    if code:
        return f"no CUDA: the NVIDIA driver answers with error {code}; 'nvidia-smi' says more"
    return "" if count.value else "no CUDA: the NVIDIA driver shows no device; check CUDA_VISIBLE_DEVICES"
