"""NVIDIA GPUs as their driver's management library sees them.

https://docs.nvidia.com/deploy/nvml-api: power in milliwatts, memory in bytes, utilisation in percent. Everything is optional:
cards without a power sensor, partitions (MIG) and virtual GPUs answer NVML_ERROR_NOT_SUPPORTED.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from framegate.observability.background import Unreadable
from framegate.observability.catalogue import (
    GPU_MEMORY_TOTAL,
    GPU_MEMORY_USED,
    GPU_POWER_LIMIT_WATTS,
    GPU_POWER_WATTS,
    GPU_TEMPERATURE,
    GPU_THROTTLED,
    GPU_UTILIZATION,
)
from framegate.observability.readings import Reading

#: Bits of nvmlClocksThrottleReasons by what they mean for people.
_CAUSES: Final = {
    "power": ("nvmlClocksThrottleReasonSwPowerCap", "nvmlClocksThrottleReasonHwPowerBrakeSlowdown"),
    "heat": ("nvmlClocksThrottleReasonSwThermalSlowdown", "nvmlClocksThrottleReasonHwThermalSlowdown"),
    "hardware": ("nvmlClocksThrottleReasonHwSlowdown",),
}


def _pynvml() -> Any:
    try:
        import pynvml
    except ImportError as error:
        raise Unreadable(f"GPUs need nvidia-ml-py ({error}): pip install 'framegate[gpu]'") from error
    return pynvml


class Nvml:
    """Reads every GPU that this process may use. A call may hang with a sick driver. One thread at a time."""

    def __init__(self, load: Callable[[], Any] = _pynvml, visible: str | None = None) -> None:
        """Nothing is loaded before the first call. `visible`: CUDA_VISIBLE_DEVICES; None: all."""
        self._load, self._visible = load, visible
        self._library: Any = None

    def __call__(self) -> list[Reading]:
        """What can be read of each; a GPU that is lost is left out.

        Raises `Unreadable` without a driver, and NVML's error when the driver does not answer; the next call starts anew.
        """
        nvml = self._opened()
        try:
            indices: Sequence[int] = range(nvml.nvmlDeviceGetCount())
            if self._visible is not None:
                indices = _visible(nvml, self._visible, indices)
            return [reading for index in indices for reading in _gpu(nvml, index)]
        except nvml.NVMLError:
            self._library = None
            raise

    def _opened(self) -> Any:
        if self._library is None:
            nvml = self._load()
            try:
                nvml.nvmlInit()
            except nvml.NVMLError_LibraryNotFound as error:
                raise Unreadable(f"no GPU is read: there is no NVIDIA driver ({error})") from error
            self._library = nvml
        return self._library


def _visible(nvml: Any, listed: str, indices: Sequence[int]) -> list[int]:
    """Which of `indices`: what is not known ends the list, as CUDA does it. NVML itself knows nothing of that list.

    Its numbers are those of NVML where all GPUs are alike, or with CUDA_DEVICE_ORDER=PCI_BUS_ID.
    """
    found = []
    for name in listed.split(","):
        index = _index(nvml, name.strip(), indices)
        if index is None:
            break
        found.append(index)
    return sorted(set(found))


def _index(nvml: Any, name: str, indices: Sequence[int]) -> int | None:
    """Of a number, the beginning of a UUID that only one has, or a partition (MIG), for which its GPU stands."""
    if name.isdecimal():
        return int(name) if int(name) in indices else None
    if name.startswith("MIG-"):
        try:
            partition = nvml.nvmlDeviceGetHandleByUUID(name)
            return int(nvml.nvmlDeviceGetIndex(nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(partition)))
        except nvml.NVMLError:
            return None
    like = [index for index in indices if name.startswith("GPU-") and _uuid(nvml, index).startswith(name)]
    return like[0] if len(like) == 1 else None


def _uuid(nvml: Any, index: int) -> str:
    try:
        return str(nvml.nvmlDeviceGetUUID(nvml.nvmlDeviceGetHandleByIndex(index)))
    except nvml.NVMLError:
        return ""  # lost


def _gpu(nvml: Any, index: int) -> Iterator[Reading]:
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
    except nvml.NVMLError:
        return
    label = {"gpu": str(index)}
    readers: tuple[Callable[[], list[Reading]], ...] = (
        lambda: [Reading(GPU_UTILIZATION, nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100, label)],
        lambda: _memory(nvml.nvmlDeviceGetMemoryInfo(handle), label),
        lambda: [Reading(GPU_POWER_WATTS, nvml.nvmlDeviceGetPowerUsage(handle) / 1000, label)],
        lambda: [Reading(GPU_POWER_LIMIT_WATTS, nvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1000, label)],
        lambda: [Reading(GPU_TEMPERATURE, nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU), label)],
        lambda: _throttled(nvml, nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle), label),
    )
    for read in readers:
        try:
            yield from read()
        except nvml.NVMLError:
            continue  # not of this card, or lost since: the others say more


def _memory(info: Any, label: dict[str, str]) -> list[Reading]:
    return [Reading(GPU_MEMORY_USED, info.used, label), Reading(GPU_MEMORY_TOTAL, info.total, label)]


def _throttled(nvml: Any, reasons: int, label: dict[str, str]) -> list[Reading]:
    return [
        Reading(GPU_THROTTLED, float(any(reasons & getattr(nvml, bit) for bit in bits)), {**label, "cause": cause})
        for cause, bits in _CAUSES.items()
    ]
