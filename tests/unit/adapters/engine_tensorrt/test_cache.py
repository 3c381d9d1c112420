"""Engine files, and the directory that keeps them."""

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framegate.adapters import onnx_graphs
from framegate.adapters.engine_tensorrt import EngineKey, Platform, TensorRtEngine
from framegate.adapters.engine_tensorrt.cache import EngineCache
from framegate.adapters.engine_tensorrt.container import pack, unpack
from framegate.kernel.errors import ConfigurationError, ModelRefused
from framegate.kernel.manifest import ModelManifest
from tests.support.models import TINY_CLASSES, Shape, tiny_manifest, write_manifest
from tests.support.tensorrt import FakeDriver, FakeTensorRt, fake_platform

KEY = EngineKey("ab" * 32, "8.9", "Fake GPU", "11.4.0.106", "f16", 4, "1 images n rgb 32x32 1.0")
HERE = Path("some.engine")


def load(manifest: ModelManifest, cache: Path, platform: Platform, max_batch: int = 4) -> int:
    """How often `platform` has built an engine after this load."""
    TensorRtEngine(manifest, max_batch, cache, onnx_graphs, "f32", lambda: platform).close()
    assert isinstance(platform.tensorrt, FakeTensorRt)
    return platform.tensorrt.builds


@given(st.binary(min_size=1, max_size=200))
def test_what_is_packed_is_unpacked(plan: bytes) -> None:
    assert unpack(pack(KEY, plan), HERE).plan == plan
    assert unpack(pack(KEY, plan), HERE).key == KEY


@given(st.binary(max_size=300))
def test_no_bytes_at_all_make_the_reader_do_anything_but_read_or_refuse(data: bytes) -> None:
    with suppress(ModelRefused):
        assert data.endswith(unpack(data, HERE).plan)


def test_the_header_of_ultralytics_is_read_past() -> None:
    header = json.dumps({"description": "Ultralytics YOLO26n model", "task": "detect", "names": {"0": "box"}}).encode()
    file = unpack(len(header).to_bytes(4, "little", signed=True) + header + b"ptrtPLAN", HERE)
    assert file.plan == b"ptrtPLAN"
    assert file.key is None


def test_a_bare_plan_is_taken_whole() -> None:
    assert unpack(b"ptrt" + bytes(100), HERE).plan == b"ptrt" + bytes(100)


def test_one_changed_bit_of_the_plan_is_noticed() -> None:
    data = bytearray(pack(KEY, b"plan" * 10))
    data[-1] ^= 1
    with pytest.raises(ModelRefused, match=r"is damaged.*build the engine again"):
        unpack(bytes(data), HERE)


def test_a_header_of_ours_that_lacks_something_is_refused() -> None:
    header = b'{"framegate": {"onnx": "ab"}}'
    with pytest.raises(ModelRefused, match=r"header of some\.engine is not complete"):
        unpack(len(header).to_bytes(4, "little") + header + b"plan", HERE)


@pytest.mark.parametrize(
    "other",
    [
        {"onnx": "cd" * 32},
        {"compute_capability": "9.0"},
        {"device": "Other GPU"},
        {"tensorrt": "10.16.1.11"},
        {"precision": "f32"},
        {"max_batch": 8},
        {"input": "1 images n bgr 32x32 1.0"},
    ],
)
def test_whatever_differs_the_engine_is_another_one(tmp_path: Path, other: dict[str, object]) -> None:
    cache, changed = EngineCache(tmp_path / "c"), replace(KEY, **other)  # type: ignore[arg-type]
    assert cache.get(KEY, lambda: b"one") == b"one"
    assert cache.get(changed, lambda: b"two") == b"two"
    assert cache.get(KEY, lambda: b"three") == b"one"
    # The right name on the wrong engine.
    cache.path(KEY).write_bytes(cache.path(changed).read_bytes())
    with pytest.raises(ModelRefused, match=r"was built with .*delete it, and it is built again"):
        cache.get(KEY, lambda: b"four")


def test_the_cache_is_made_for_its_user_alone_and_refused_when_others_may_write_there(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path / "a" / "engines")
    cache.get(KEY, lambda: b"plan")
    assert (tmp_path / "a" / "engines").stat().st_mode & 0o777 == 0o700
    assert cache.path(KEY).stat().st_mode & 0o777 == 0o600
    (tmp_path / "a" / "engines").chmod(0o770)
    with pytest.raises(ConfigurationError, match="must be yours alone, engines are code: chmod 700"):
        EngineCache(tmp_path / "a" / "engines")


def test_a_build_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    def fails() -> bytes:
        raise ModelRefused("no")

    cache = EngineCache(tmp_path / "c")
    with pytest.raises(ModelRefused):
        cache.get(KEY, fails)
    assert cache.get(KEY, lambda: b"plan") == b"plan"


def test_an_engine_is_built_once_and_again_for_another_gpu_another_version_and_another_model(tmp_path: Path) -> None:
    manifest, cache, here = tiny_manifest(tmp_path / "m"), tmp_path / "c", fake_platform()
    assert load(manifest, cache, here) == 1
    assert load(manifest, cache, here) == 1
    assert load(manifest, cache, here, max_batch=2) == 2
    assert load(tiny_manifest(tmp_path / "n", scale=0.5), cache, here) == 3
    assert load(manifest, cache, fake_platform(FakeDriver(capability=(9, 0)))) == 1
    assert load(manifest, cache, fake_platform(FakeDriver(name="Other GPU"))) == 1
    assert load(manifest, cache, fake_platform(version="10.16.1.11")) == 1


@pytest.mark.parametrize(
    ("there", "differs"),
    [
        (fake_platform(FakeDriver(capability=(9, 0))), "compute capability 8.9, here it is 9.0"),
        (fake_platform(FakeDriver(name="Other GPU")), "device Fake GPU, here it is Other GPU"),
        (fake_platform(version="10.16.1.11"), "tensorrt 11.4.0.106, here it is 10.16.1.11"),
    ],
)
def test_an_engine_brought_from_another_host_is_refused_with_what_differs(
    tmp_path: Path, there: Platform, differs: str
) -> None:
    cache = tmp_path / "c"
    load(tiny_manifest(tmp_path / "m"), cache, fake_platform())
    (built,) = cache.glob("*.engine")
    shape = Shape("end2end", 32, scale=1.0, dynamic_batch=True)
    manifest = ModelManifest.load(write_manifest(tmp_path / "brought", built, shape, TINY_CLASSES))
    assert load(manifest, cache, fake_platform()) == 0
    with pytest.raises(ModelRefused, match=f"{built.name} was built with {differs}: export it again on this host"):
        load(manifest, cache, there)
