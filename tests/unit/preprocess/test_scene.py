"""What two frames have in common: noise changes all of it, a clock a few tiles, a repetition nothing."""

import io
import itertools

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from framegate.kernel.inspection import Scene
from framegate.preprocess.decode import decode
from framegate.preprocess.letterbox import resize
from framegate.preprocess.scene import look
from framegate.starter import sample_frames


def frame(noise: float, clock: int | None = None, quality: int = 85, seed: int = 0) -> Scene:
    """The dock of a sample frame as a camera sends it: noise, perhaps a clock, a JPEG."""
    dock = np.asarray(Image.open(sample_frames()[0]).convert("RGB").resize((1280, 960)))
    seen = np.clip(dock + np.random.default_rng(seed).normal(0, noise, dock.shape), 0, 255).astype(np.uint8).copy()
    if clock is not None:
        cv2.putText(seen, f"2026-11-27 12:00:{clock:02d}", (20, 40), 0, 1, (255, 255, 255), 2)
    file = io.BytesIO()
    Image.fromarray(seen).save(file, "JPEG", quality=quality)
    content: NDArray[np.uint8] = np.empty((480, 640, 3), np.uint8)
    resize(decode(memoryview(file.getvalue()), "image/jpeg", 1, None), 640, 480, content)
    return look(content)


def alike(frames: list[Scene]) -> list[int]:
    """Tiles that neighbours have in common, of 64."""
    return [sum(a == b for a, b in zip(one.tiles, two.tiles, strict=True)) for one, two in itertools.pairwise(frames)]


@pytest.mark.parametrize(("noise", "quality"), [(0.5, 85), (1.0, 50), (3.0, 85)])
def test_the_noise_of_a_living_camera_changes_nearly_every_tile(noise: float, quality: int) -> None:
    assert max(alike([frame(noise, quality=quality, seed=n) for n in range(4)])) <= 4


def test_a_repeated_picture_has_all_tiles_in_common_and_one_with_a_clock_nearly_all() -> None:
    assert alike([frame(0), frame(0)]) == [64]
    assert min(alike([frame(0, clock=n) for n in (1, 2, 3)])) >= 60


def test_the_layout_is_the_light_of_the_tiles_row_by_row() -> None:
    content = np.zeros((360, 640, 3), np.uint8)
    content[:45, 80:160] = 200
    layout = look(content).layout
    assert layout[1] == 200
    assert sum(layout) == 200


@pytest.mark.parametrize("size", [(1, 1), (3, 700), (640, 5), (8, 8)])
def test_frames_of_any_size_have_a_scene(size: tuple[int, int]) -> None:
    scene = look(np.full((*size, 3), 90, np.uint8))
    assert (len(scene.tiles), set(scene.layout)) == (64, {90})
    assert Scene.from_json(scene.to_json()) == scene
