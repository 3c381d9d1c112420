"""The engine on a device that is not there: batches, padding, errors, and what a foreign engine needs."""

import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from framegate.adapters import onnx_graphs
from framegate.adapters.engine_onnxruntime import OnnxRuntimeEngine
from framegate.adapters.engine_tensorrt import Platform, TensorRtEngine
from framegate.kernel.errors import EngineFault, ModelRefused, Unrecoverable
from framegate.kernel.manifest import ModelManifest
from tests.support.models import TINY_CLASSES, Shape, tiny_manifest, tiny_onnx, write_manifest
from tests.support.tensorrt import OUT_OF_MEMORY, FakeDriver, FakeTensorRt, fake_engine, fake_plan, fake_platform


def frames(n: int) -> NDArray[np.uint8]:
    return np.random.default_rng(n).integers(0, 256, (n, 32, 32, 3), np.uint8)


def parts(platform: Platform) -> tuple[FakeDriver, FakeTensorRt]:
    assert isinstance(platform.tensorrt, FakeTensorRt)
    return platform.tensorrt.driver, platform.tensorrt


def foreign(tmp_path: Path, shape: Shape, batches: tuple[int, int, int] | None, header: bytes = b"") -> ModelManifest:
    """An engine that somebody else built from `tiny_onnx`: float (n, 3, 32, 32) in."""
    tmp_path.mkdir(exist_ok=True)
    data = tiny_onnx(tmp_path / "tiny.onnx", "batch" if batches else 4).read_bytes()
    weights = tmp_path / "theirs.engine"
    weights.write_bytes(header + fake_plan(data, batches))
    return ModelManifest.load(write_manifest(tmp_path, weights, shape, TINY_CLASSES))


def served(manifest: ModelManifest, max_batch: int, platform: Platform | None = None) -> TensorRtEngine:
    return fake_engine(manifest, max_batch, platform)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("engines")


@settings(max_examples=40, deadline=None)
@given(least=st.integers(1, 4), more=st.integers(0, 4), wanted=st.integers(1, 10), data=st.data())
def test_no_batch_leaves_the_profile_and_every_frame_is_answered(
    folder: Path, least: int, more: int, wanted: int, data: st.DataObject
) -> None:
    most = least + more
    manifest = foreign(folder / f"{least}-{most}", Shape("end2end", 32, dynamic_batch=True), (least, most, most))
    platform = fake_platform()
    engine = served(manifest, wanted, platform)
    assert engine.max_batch == (most if least == most else min(wanted, most))
    sizes = data.draw(st.lists(st.integers(1, engine.max_batch), min_size=1, max_size=5))
    reference = OnnxRuntimeEngine(tiny_manifest(folder / "reference", scale=1 / 255), 10, 1, "cpu")
    for n in sizes:
        np.testing.assert_allclose(engine.infer(frames(n)), reference.infer(frames(n)), rtol=1e-5)
    assert all(least <= shape[0] <= most for shape in parts(platform)[1].shapes)
    assert [max(n, least) for n in sizes] == [shape[0] for shape in parts(platform)[1].shapes]
    engine.close()
    assert not parts(platform)[0].memory


def test_our_own_engine_takes_the_frames_as_bytes(tmp_path: Path) -> None:
    platform = fake_platform()
    served(tiny_manifest(tmp_path), 3, platform).infer(frames(2))
    assert parts(platform)[1].shapes == [(2, 32, 32, 3)]
    assert parts(platform)[1].profile == [(1, 32, 32, 3), (3, 32, 32, 3), (3, 32, 32, 3)]


@pytest.mark.parametrize("color", ["rgb", "bgr"])
@pytest.mark.parametrize("header", [b"", b'\x11\x00\x00\x00{"task":"detect"}'])
def test_an_engine_of_ultralytics_is_fed_what_its_manifest_says(tmp_path: Path, color: str, header: bytes) -> None:
    manifest = foreign(tmp_path / "x", Shape("end2end", 32, color, 0.5, dynamic_batch=True), (1, 2, 4), header)
    engine = served(manifest, 8)
    reference = OnnxRuntimeEngine(tiny_manifest(tmp_path / "y", color=color, scale=0.5), 8, 1, "cpu")
    assert engine.max_batch == 4
    assert engine.description == "tensorrt 11.4.0.106 cuda as-built"
    np.testing.assert_allclose(engine.infer(frames(3)), reference.infer(frames(3)), rtol=1e-5)


def test_a_fixed_batch_is_filled_up_and_only_what_was_asked_comes_back(tmp_path: Path) -> None:
    platform = fake_platform()
    engine = served(foreign(tmp_path, Shape("end2end", 32), None), 9, platform)
    assert engine.max_batch == 4
    assert len(engine.infer(frames(1))) == 1
    assert parts(platform)[1].shapes == [(4, 3, 32, 32)]


def test_an_engine_loaded_in_one_thread_serves_in_another(tmp_path: Path) -> None:
    engine = served(tiny_manifest(tmp_path), 2)
    answers: list[NDArray[np.float32]] = []
    thread = threading.Thread(target=lambda: answers.append(engine.infer(frames(2))))
    thread.start()
    thread.join()
    np.testing.assert_array_equal(answers[0], engine.infer(frames(2)))


def test_want_of_memory_is_a_fault_of_the_batch_and_the_next_one_is_served(tmp_path: Path) -> None:
    platform = fake_platform()
    engine = served(tiny_manifest(tmp_path), 2, platform)
    before = engine.infer(frames(2))
    parts(platform)[0].fails["cuStreamSynchronize"] = OUT_OF_MEMORY
    with pytest.raises(EngineFault, match="2 frames: cuStreamSynchronize: CUDA_ERROR_OUT_OF_MEMORY"):
        engine.infer(frames(2))
    np.testing.assert_array_equal(engine.infer(frames(2)), before)


def test_what_tensorrt_refuses_is_a_fault_of_the_batch_with_its_reason(tmp_path: Path) -> None:
    platform = fake_platform()
    engine = served(tiny_manifest(tmp_path), 2, platform)
    parts(platform)[1].refuses_to_run = True
    with pytest.raises(EngineFault, match="1 frames: enqueue failed"):
        engine.infer(frames(1))
    assert not parts(platform)[0].queue, "a copy is still under way in a buffer that the next batch fills"
    assert len(engine.infer(frames(2))) == 2


def test_a_fault_of_a_kernel_ends_the_process_because_no_later_call_can_succeed(tmp_path: Path) -> None:
    platform = fake_platform()
    engine = served(tiny_manifest(tmp_path), 2, platform)
    parts(platform)[1].loses_the_device = True
    with pytest.raises(Unrecoverable, match=r"lost to this process.*CUDA_ERROR_ILLEGAL_ADDRESS"):
        engine.infer(frames(1))


def test_a_device_too_small_for_the_buffers_is_said_with_the_remedy_and_nothing_stays_allocated(tmp_path: Path) -> None:
    platform = fake_platform()
    parts(platform)[0].fails["cuMemAlloc"] = OUT_OF_MEMORY
    with pytest.raises(ModelRefused, match=r"batches of 2 .*use a smaller max_batch"):
        served(tiny_manifest(tmp_path), 2, platform)
    assert not parts(platform)[0].memory
    assert parts(platform)[0].calls[-1] == "cuDevicePrimaryCtxRelease"


def test_a_plan_that_tensorrt_cannot_load_is_refused_with_its_reason(tmp_path: Path) -> None:
    weights = tmp_path / "old.engine"
    weights.write_bytes(b"from another world" * 10)
    manifest = ModelManifest.load(write_manifest(tmp_path, weights, Shape("end2end", 32), TINY_CLASSES))
    with pytest.raises(ModelRefused, match=r"old\.engine: the plan was made by another version; build it again"):
        served(manifest, 1)


@pytest.mark.parametrize("size", [64, 320])
def test_an_engine_of_another_size_than_its_manifest_says_is_refused(tmp_path: Path, size: int) -> None:
    manifest = foreign(tmp_path, Shape("end2end", size, dynamic_batch=True), (1, 4, 4))
    with pytest.raises(ModelRefused, match=r"theirs\.engine takes \(-1, 3, 32, 32\), not \(4, 3, .*correct \[input\]"):
        served(manifest, 4)


def test_half_precision_and_its_own_scales_are_chosen_without_being_asked(tmp_path: Path) -> None:
    platform, manifest = fake_platform(), tiny_manifest(tmp_path)
    engine = TensorRtEngine(manifest, 2, tmp_path / "cache", onnx_graphs, "auto", lambda: platform)
    assert engine.description.endswith(" f16")
    assert parts(platform)[1].cleared == []
    exact = TensorRtEngine(manifest, 2, tmp_path / "cache", onnx_graphs, "f32", lambda: platform)
    assert exact.description.endswith(" f32")
    assert parts(platform)[1].cleared == ["TF32"]
