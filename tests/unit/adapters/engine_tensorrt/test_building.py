"""What TensorRT is asked to build, and what becomes of its refusals."""

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from framegate.adapters.engine_tensorrt import build_engine
from framegate.adapters.engine_tensorrt.cuda import Cuda
from framegate.kernel.errors import ModelRefused
from tests.support.models import tiny_onnx
from tests.support.tensorrt import FakeDriver, FakeTensorRt, fake_platform


def test_the_network_is_strongly_typed_and_has_one_profile_from_one_frame_to_the_largest_batch(tmp_path: Path) -> None:
    platform = fake_platform()
    build_engine(platform, tiny_onnx(tmp_path / "t.onnx").read_bytes(), 6, exact=False, name="t")
    assert isinstance(platform.tensorrt, FakeTensorRt)
    assert platform.tensorrt.networks == [2]
    assert platform.tensorrt.profile == [(1, 3, 32, 32), (6, 3, 32, 32), (6, 3, 32, 32)]


def test_a_fixed_batch_needs_no_profile(tmp_path: Path) -> None:
    platform = fake_platform()
    build_engine(platform, tiny_onnx(tmp_path / "t.onnx", 4).read_bytes(), 6, exact=True, name="t")
    assert isinstance(platform.tensorrt, FakeTensorRt)
    assert platform.tensorrt.profile is None


def test_what_tensorrt_cannot_parse_is_refused_with_its_reason() -> None:
    node = helper.make_node("NonMaxSuppression", ["boxes", "scores"], ["output0"])
    boxes = helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [1, 9, 4])
    kept = helper.make_tensor_value_info("output0", TensorProto.INT64, [None, 3])
    model = helper.make_model(helper.make_graph([node], "nms", [boxes], [kept]))
    with pytest.raises(ModelRefused, match=r"cannot parse nms\.onnx: NonMaxSuppression is not known"):
        build_engine(fake_platform(), model.SerializeToString(), 1, exact=False, name="nms.onnx")


def test_what_tensorrt_cannot_build_is_refused_with_its_reason(tmp_path: Path) -> None:
    model = onnx.load(tiny_onnx(tmp_path / "t.onnx"))
    model.metadata_props.add(key="is", value="unbuildable")
    with pytest.raises(ModelRefused, match=r"cannot build t\.onnx: no tactic; use a smaller batch"):
        build_engine(fake_platform(), model.SerializeToString(), 1, exact=False, name="t.onnx")


def test_a_driver_without_a_device_is_refused_with_the_remedy() -> None:
    with pytest.raises(ModelRefused, match="sees no GPU: install the NVIDIA driver, make a GPU visible"):
        Cuda(FakeDriver(devices=0))


def test_a_driver_that_fails_is_refused_with_its_error() -> None:
    with pytest.raises(ModelRefused, match="cuDevicePrimaryCtxRetain: CUDA_ERROR_OUT_OF_MEMORY"):
        Cuda(FakeDriver(fails={"cuDevicePrimaryCtxRetain": 2}))


def test_the_device_tells_its_name_and_what_it_can_compute() -> None:
    cuda = Cuda(FakeDriver(name="NVIDIA L4", capability=(8, 9)))
    assert (cuda.device, cuda.compute_capability, cuda.stream) == ("NVIDIA L4", "8.9", 77)
