"""Checkpoints of ultralytics become manifests, or are refused. Runs where torch is installed."""

import pickle
from pathlib import Path

import pytest

from framegate.kernel.errors import ModelRefused
from framegate.kernel.manifest import Head
from framegate.models.importing import draft
from tests.support.models import TINY_CLASSES
from tests.support.torch_models import random_network, require_torch, write_checkpoint

pytestmark = pytest.mark.torch


@pytest.mark.parametrize(("architecture", "head"), [("yolo26n.yaml", Head.END2END), ("yolo11n.yaml", Head.ANCHORS)])
def test_a_checkpoint_says_its_classes_and_head_itself(tmp_path: Path, architecture: str, head: Head) -> None:
    path = write_checkpoint(tmp_path / "best.pt", random_network(TINY_CLASSES, architecture))
    made = draft(path, "some", "1", "AGPL-3.0", size=(64, 96))
    assert made.format == "torch"
    assert (made.manifest.head, made.manifest.classes) == (head, TINY_CLASSES)
    assert (made.manifest.input.width, made.manifest.input.height) == (64, 96)


def test_of_two_branches_the_one_with_nms_can_be_asked_for(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "best.pt", random_network(TINY_CLASSES, "yolo26n.yaml"))
    assert draft(path, "some", "1", "AGPL-3.0", head="anchors", size=(64, 64)).manifest.head is Head.ANCHORS


def test_a_checkpoint_that_finds_masks_is_refused_by_its_kind(tmp_path: Path) -> None:
    network = random_network(TINY_CLASSES, "yolo11n-seg.yaml", "SegmentationModel")
    path = write_checkpoint(tmp_path / "seg.pt", network)
    with pytest.raises(ModelRefused, match=r"seg\.pt is a SegmentationModel: only detectors and classifiers"):
        draft(path, "some", "1", "AGPL-3.0", size=(64, 64))


def test_a_file_that_is_no_checkpoint_is_refused_by_name(tmp_path: Path) -> None:
    torch = require_torch()
    path = tmp_path / "broken.pt"
    torch.save({"model": [1, 2]}, path)
    with pytest.raises(ModelRefused, match=r"broken\.pt holds no network but list"):
        draft(path, "some", "1", "MIT")
    for content in (path.read_bytes()[:200], pickle.dumps({"weights": 1})):
        path.write_bytes(content)
        with pytest.raises(ModelRefused, match=r"broken\.pt"):
            draft(path, "some", "1", "MIT")
