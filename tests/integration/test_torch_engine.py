"""What is particular to checkpoints: which are refused, which head they get, what becomes of torch's errors."""

import io
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from framegate.inference.heads import decode_head
from framegate.kernel.errors import EngineFault, ModelRefused, Unrecoverable
from framegate.kernel.manifest import Head, ModelManifest
from tests.support.models import tiny_manifest
from tests.support.torch_models import (
    random_network,
    require_torch,
    starter_checkpoint,
    telling_engine,
    with_checkpoint,
    write_checkpoint,
)

pytestmark = pytest.mark.torch
CLASSES = ("carton", "hole")


@pytest.fixture(scope="module", autouse=True)
def torch() -> Any:
    return require_torch()


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> ModelManifest:
    """An untrained YOLO26n with both branches, and the manifest that fits it."""
    directory = tmp_path_factory.mktemp("checkpoint")
    path = write_checkpoint(directory / "best.pt", random_network(CLASSES))
    manifest = tiny_manifest(directory, scale=1 / 255)
    return with_checkpoint(replace(manifest, classes=CLASSES), path)


def engine(manifest: ModelManifest, max_batch: int = 2, **options: Any) -> Any:
    from framegate.adapters.engine_torch import TorchEngine

    return TorchEngine(manifest, max_batch, threads=1, device="cpu", **options)


def frames(n: int, side: int = 32) -> Any:
    return np.random.default_rng(n).integers(0, 256, (n, side, side, 3), np.uint8)


def written(path: Path, content: bytes, manifest: ModelManifest) -> ModelManifest:
    path.write_bytes(content)
    return with_checkpoint(manifest, path)


@pytest.mark.parametrize("cut", ["empty", "text", "truncated"])
def test_a_file_that_is_no_checkpoint_is_refused_by_name(described: ModelManifest, tmp_path: Path, cut: str) -> None:
    whole = described.weights.read_bytes()
    content = {"empty": b"", "text": b"not a checkpoint at all", "truncated": whole[: len(whole) // 2]}[cut]
    with pytest.raises(ModelRefused, match=r"cannot load .*broken\.pt.*copy it again"):
        engine(written(tmp_path / "broken.pt", content, described))


@pytest.mark.parametrize("content", [{"model": 3}, {"weights": [1.0]}, [1, 2]])
def test_a_pickle_without_a_network_is_refused_by_name(
    described: ModelManifest, tmp_path: Path, torch: Any, content: Any
) -> None:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    with pytest.raises(ModelRefused, match=r"other\.pt holds no network .*best\.pt"):
        engine(written(tmp_path / "other.pt", buffer.getvalue(), described))


def test_a_file_with_another_sha256_is_refused_before_its_code_runs(
    described: ModelManifest, tmp_path: Path, torch: Any
) -> None:
    from tests.support.telling import Trap

    sprung = tmp_path / "sprung"
    torch.save(Trap(str(sprung)), tmp_path / "trap.pt")
    with pytest.raises(ModelRefused, match=r"trap\.pt changed"):
        engine(replace(described, weights=tmp_path / "trap.pt"))
    assert not sprung.exists()


@pytest.mark.parametrize(
    ("change", "remedy"),
    [
        ({"classes": ("hole", "carton")}, r"was trained on the classes \['carton', 'hole'\].*correct .model. classes"),
        ({"head": Head.CLASSIFY}, "is a DetectionModel, the head classify needs a ClassificationModel"),
    ],
)
def test_a_manifest_that_contradicts_the_checkpoint_is_refused(
    described: ModelManifest, change: dict[str, Any], remedy: str
) -> None:
    with pytest.raises(ModelRefused, match=rf"best\.pt.*{remedy}"):
        engine(replace(described, **change))


@pytest.mark.parametrize(
    ("change", "remedy"),
    [({"width": 48}, "multiples of 32, not 48 x 32"), ({"dynamic_batch": False}, "dynamic_batch = false")],
)
def test_an_input_that_the_network_does_not_take_is_refused(
    described: ModelManifest, change: dict[str, Any], remedy: str
) -> None:
    with pytest.raises(ModelRefused, match=rf"best\.pt.*{remedy}"):
        engine(replace(described, input=replace(described.input, **change)))


def test_a_network_without_the_end_to_end_branch_is_refused_for_that_head(
    described: ModelManifest, tmp_path: Path
) -> None:
    path = write_checkpoint(tmp_path / "old.pt", random_network(CLASSES, "yolov8n.yaml"))
    manifest = with_checkpoint(described, path)
    with pytest.raises(ModelRefused, match=r"old\.pt gives the head anchors only"):
        engine(manifest)
    assert engine(replace(manifest, head=Head.ANCHORS)).infer(frames(1)).shape == (1, 6, 21)


def test_a_segmentation_network_is_refused(described: ModelManifest, tmp_path: Path) -> None:
    network = random_network(CLASSES, "yolo26n-seg.yaml", "SegmentationModel")
    path = write_checkpoint(tmp_path / "seg.pt", network)
    with pytest.raises(ModelRefused, match=r"seg\.pt is a SegmentationModel"):
        engine(with_checkpoint(described, path))


@pytest.mark.parametrize(("head", "shape"), [(Head.END2END, (2, 21, 6)), (Head.ANCHORS, (2, 6, 21))])
def test_the_manifest_chooses_the_branch_of_a_network_that_has_both(
    described: ModelManifest, head: Head, shape: tuple[int, ...]
) -> None:
    manifest = replace(described, head=head)
    raw = engine(manifest).infer(frames(2))
    assert raw.shape == shape
    assert not [rows for rows in decode_head(raw, manifest) if isinstance(rows, EngineFault)]


def test_a_checkpoint_in_mid_training_serves_its_averaged_weights(
    described: ModelManifest, tmp_path: Path, torch: Any
) -> None:
    averaged = torch.load(described.weights, weights_only=False)["model"]
    torch.save({"model": None, "ema": averaged.half(), "epoch": 3}, tmp_path / "last.pt")
    np.testing.assert_allclose(
        engine(with_checkpoint(described, tmp_path / "last.pt")).infer(frames(2))[..., 4],
        engine(described).infer(frames(2))[..., 4],
        atol=1e-3,
    )


def test_a_classifier_gives_probabilities(described: ModelManifest, tmp_path: Path) -> None:
    network = random_network(CLASSES, "yolo26n-cls.yaml", "ClassificationModel")
    manifest = replace(described, head=Head.CLASSIFY)
    raw = engine(with_checkpoint(manifest, write_checkpoint(tmp_path / "cls.pt", network))).infer(frames(2))
    assert raw.shape == (2, len(CLASSES))
    np.testing.assert_allclose(raw.sum(axis=1), 1, rtol=1e-5)


def test_a_batch_that_the_network_cannot_take_is_a_fault_and_the_next_batch_is_not(tmp_path: Path) -> None:
    even = telling_engine(tiny_manifest(tmp_path), 4, "EvenBatchesOnly")
    before = even.infer(frames(2))
    with pytest.raises(EngineFault, match="torch could not infer 3 frames"):
        even.infer(frames(3))
    np.testing.assert_array_equal(even.infer(frames(2)), before)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("CUDA out of memory. Tried to allocate 2.00 GiB", EngineFault),
        ("CUDA error: out of memory", EngineFault),
        ("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`", EngineFault),
        ("CUDA error: an illegal memory access was encountered", Unrecoverable),
        ("CUDA error: device-side assert triggered", Unrecoverable),
        ("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED", Unrecoverable),
        ("shape '[2, 7]' is invalid for input of size 9", EngineFault),
    ],
)
def test_only_a_lost_gpu_ends_the_process(text: str, kind: type[Exception]) -> None:
    from framegate.adapters.engine_torch.faults import fault

    assert type(fault(RuntimeError(text), 2)) is kind


def test_memory_that_ran_out_is_known_by_its_type(torch: Any) -> None:
    from framegate.adapters.engine_torch.faults import fault

    assert type(fault(torch.OutOfMemoryError("no more"), 2)) is EngineFault


def test_cuda_where_there_is_none_is_refused(described: ModelManifest, torch: Any) -> None:
    from framegate.adapters.engine_torch import TorchEngine

    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    with pytest.raises(ModelRefused, match=r"best\.pt shall be served on CUDA.*check the driver"):
        TorchEngine(described, 1, threads=1, device="cuda")


def test_the_engine_of_the_settings_loads_offline_and_without_a_word(tmp_path: Path) -> None:
    manifest = starter_checkpoint(tmp_path / "best.pt")
    text = manifest.text.replace('"model.onnx"', '"best.pt"')
    starter = manifest.text.split('sha256 = "')[1].split('"')[0]
    (tmp_path / "model.toml").write_text(text.replace(starter, manifest.sha256), "utf-8")
    script = (
        "import sys; from pathlib import Path; from framegate.bootstrap import make_engine\n"
        "from framegate.kernel.manifest import ModelManifest; from framegate.settings import Settings\n"
        "made = make_engine(Settings.read(engine='torch'), ModelManifest.load(Path(sys.argv[1])))\n"
        "import ultralytics.utils as u; print(made.description, u.ONLINE, u.AUTOINSTALL)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.stderr == ""
    assert done.stdout.startswith("torch ")
    assert done.stdout.endswith(" f32 False False\n")
