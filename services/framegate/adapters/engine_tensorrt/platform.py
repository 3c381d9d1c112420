"""What an engine is built and run with: the device and the module `tensorrt`, found in this order."""

from collections import deque
from dataclasses import dataclass
from typing import Any

from framegate.adapters.engine_tensorrt.cuda import Cuda
from framegate.adapters.engine_tensorrt.runtime_api import TensorRt
from framegate.kernel.errors import ModelRefused

_OLDEST = 10


@dataclass(frozen=True, slots=True)
class Platform:
    """One GPU and one TensorRT."""

    cuda: Cuda
    tensorrt: TensorRt

    @property
    def version(self) -> str:
        """TensorRT's."""
        return self.tensorrt.__version__


def find_platform() -> Platform:
    """Raises `ModelRefused` with the remedy.

    CUDA comes first and TensorRT is not even imported without it: its runtime ends the process where no driver is.
    """
    cuda = Cuda.find()
    try:
        import tensorrt
    except ImportError as error:
        raise ModelRefused(
            f"tensorrt cannot be imported ({error}): pip install 'framegate[gpu]' on this host, or use another engine"
        ) from error
    if int(tensorrt.__version__.split(".", 1)[0]) < _OLDEST:
        raise ModelRefused(f"TensorRT {tensorrt.__version__} is too old: install {_OLDEST} or newer")
    return Platform(cuda, tensorrt)


class Complaints:
    """What TensorRT logs as an error, for our messages: its functions return only None or False."""

    def __init__(self, tensorrt: TensorRt) -> None:
        self._last: deque[str] = deque(maxlen=3)
        severity = tensorrt.ILogger.Severity
        serious = (severity.INTERNAL_ERROR, severity.ERROR)

        def log(_: Any, severity: Any, message: str) -> None:
            if severity in serious:
                self._last.append(" ".join(message.split())[:300])

        # The base class is known at run time only.
        self.logger: Any = type("Logger", (tensorrt.ILogger,), {"log": log})()

    def take(self) -> str:
        """What was said since the last time."""
        said = "; ".join(self._last) or "TensorRT gives no reason"
        self._last.clear()
        return said
