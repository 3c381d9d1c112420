"""What is used of NVIDIA's bindings exists in those that are installed. They need no GPU to be looked at."""

import importlib
import os
import sys
from types import ModuleType
from typing import Any

import pytest

from framegate.adapters.engine_tensorrt import find_platform, runtime_api
from framegate.kernel.errors import ModelRefused

_LEAN, _DRIVER = "tensorrt_lean_bindings", "cuda.bindings.driver"
#: Only a binding with a builder has these.
_BUILDERS = {"Builder", "OnnxParser", "NetworkDefinitionCreationFlag"}


def installed(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        if os.environ.get("CI"):
            pytest.fail(f"{name} must be installed here: {error}")
        pytest.skip(
            f"{name} is not installed: pip install tensorrt_lean_cu13_bindings tensorrt_lean_cu13_libs cuda-bindings"
        )


def used(protocol: type[Any]) -> set[str]:
    return {*vars(protocol).get("__annotations__", {}), *(n for n in vars(protocol) if not n.startswith("_"))} - {
        "_is_protocol"
    }


@pytest.mark.parametrize(
    ("protocol", "vendors"),
    [
        (runtime_api.Runtime, "Runtime"),
        (runtime_api.CudaEngine, "ICudaEngine"),
        (runtime_api.ExecutionContext, "IExecutionContext"),
        (runtime_api.Profile, "IOptimizationProfile"),
    ],
)
def test_every_method_that_is_used_exists_in_the_lean_runtime(protocol: type[Any], vendors: str) -> None:
    theirs = getattr(installed(_LEAN), vendors)
    assert used(protocol)
    assert used(protocol) <= {*dir(theirs)}


def test_every_name_of_the_module_that_is_used_exists_in_the_lean_runtime() -> None:
    theirs = installed(_LEAN)
    assert used(runtime_api.TensorRt) - _BUILDERS <= {*dir(theirs)}
    assert {"FLOAT", "HALF", "UINT8"} <= {*dir(theirs.DataType)}
    assert {"INPUT", "OUTPUT"} <= {*dir(theirs.TensorIOMode)}
    assert {"INTERNAL_ERROR", "ERROR"} <= {*dir(theirs.ILogger.Severity)}
    assert {"TF32"} <= {*dir(theirs.BuilderFlag)}
    assert int(theirs.__version__.split(".")[0]) >= 10


def test_types_that_decide_are_equal_to_themselves_and_can_be_looked_up() -> None:
    kinds = installed(_LEAN).DataType
    assert {kinds.UINT8: 1, kinds.FLOAT: 2}[kinds.UINT8] == 1
    assert kinds.UINT8 != kinds.FLOAT


def test_a_logger_of_our_own_is_taken_and_heard() -> None:
    from framegate.adapters.engine_tensorrt.platform import Complaints

    theirs = installed(_LEAN)
    complaints = Complaints(theirs)
    assert isinstance(complaints.logger, theirs.ILogger)
    complaints.logger.log(theirs.ILogger.Severity.WARNING, "nothing")
    complaints.logger.log(theirs.ILogger.Severity.ERROR, "out of\n memory")
    assert complaints.take() == "out of memory"
    assert complaints.take() == "TensorRT gives no reason"


def test_every_call_of_the_driver_that_is_used_exists_in_nvidias_binding() -> None:
    theirs = installed(_DRIVER)
    assert used(runtime_api.Driver) <= {*dir(theirs)}
    parts = {f"CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_{part}" for part in ("MAJOR", "MINOR")}
    assert parts <= {*dir(theirs.CUdevice_attribute)}
    assert int(theirs.CUstream_flags.CU_STREAM_NON_BLOCKING) == 1


def test_without_a_driver_the_engine_is_refused_with_the_remedy_and_tensorrt_is_not_touched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    driver = installed(_DRIVER)
    try:
        status, *_ = driver.cuInit(0)
    except RuntimeError:
        status = 1
    if not int(status):
        pytest.skip("this machine has a CUDA driver")
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(ModelRefused, match=r"CUDA cannot be used.*install the NVIDIA driver"):
        find_platform()
