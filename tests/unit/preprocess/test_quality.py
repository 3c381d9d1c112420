"""What is flagged, and that ordinary frames are not."""

import cv2
import numpy as np
import pytest

from framegate.kernel.manifest import ModelInput
from framegate.preprocess.decode import decode
from framegate.preprocess.letterbox import prepare
from framegate.preprocess.quality import measure
from tests.support.pictures import shared_data

from .files import Pixels, jpeg, noise, scene

MODEL = ModelInput(640, 640, True, False)


def textured(width: int = 640, height: int = 360) -> Pixels:
    """Edges of many sizes under a little noise, as a photo has."""
    random = np.random.default_rng(5)
    frame = scene(width, height)
    for _ in range(120):
        x, y = int(random.integers(width)), int(random.integers(height))
        color = tuple(map(int, random.integers(30, 220, 3)))
        cv2.rectangle(frame, (x, y), (x + int(random.integers(8, 90)), y + int(random.integers(8, 90))), color, -1)
    return np.clip(frame + random.normal(0, 3, frame.shape), 0, 255).astype(np.uint8)


def blur(pixels: Pixels) -> Pixels:
    return cv2.GaussianBlur(pixels, (0, 0), 4).astype(np.uint8)


def through_jpeg(pixels: Pixels) -> Pixels:
    return prepare(decode(jpeg(pixels, quality=85), "image/jpeg", 1), MODEL)[0]


def test_an_ordinary_frame_has_no_flags() -> None:
    assert measure(textured(), (640, 360)).flags == ()
    assert measure(through_jpeg(textured(1920, 1080)), (1920, 1080)).flags == ()


@pytest.mark.parametrize(
    ("level", "expected"),
    [(0, {"too-dark", "flat", "blurred"}), (128, {"flat", "blurred"}), (255, {"too-bright", "flat", "blurred"})],
)
def test_a_solid_color_is_flat(level: int, expected: set[str]) -> None:
    assert set(measure(np.full((360, 640, 3), level, np.uint8)).flags) == expected


def test_a_covered_lens_is_dark_and_flat_in_spite_of_its_sensor_noise() -> None:
    lens = np.clip(6 + np.random.default_rng(2).normal(0, 3, (1080, 1920, 3)), 0, 255).astype(np.uint8)
    assert {"too-dark", "flat"} <= set(measure(through_jpeg(lens)).flags)


def test_pure_noise_is_noise_before_and_after_jpeg() -> None:
    assert measure(noise(640, 360)).flags == ("noise",)
    assert "noise" in measure(through_jpeg(noise(1920, 1080))).flags
    grey = noise(1920, 1080, 1).repeat(3, 2)
    assert "noise" in measure(through_jpeg(grey)).flags


def test_a_blurred_frame_is_blurred() -> None:
    assert measure(blur(textured())).flags == ("blurred",)


def test_an_underexposed_and_an_overexposed_frame_are_told_apart() -> None:
    assert "too-dark" in measure((textured() * 0.06).astype(np.uint8)).flags
    bright = np.clip(textured().astype(int) * 4 + 200, 0, 255).astype(np.uint8)
    assert "too-bright" in measure(bright).flags


def test_the_original_decides_what_is_small() -> None:
    assert "small" in measure(textured(), (1920, 159)).flags
    assert "small" not in measure(textured(), (160, 160)).flags
    assert "small" not in measure(textured()).flags


def test_the_numbers_are_what_they_are_called() -> None:
    frame = np.zeros((100, 100, 3), np.uint8)
    frame[:, 50:] = 255
    quality = measure(frame)
    assert quality.exposure == pytest.approx(127.5)
    assert quality.contrast == pytest.approx(127.5)
    assert quality.clipped_dark == quality.clipped_bright == pytest.approx(0.5)
    # Two columns of the hundred have a Laplacian, one of +255 and one of -255.
    assert quality.sharpness == pytest.approx(255**2 * 0.02)


def test_a_frame_of_one_pixel_can_be_measured() -> None:
    assert "flat" in measure(np.full((1, 1, 3), 128, np.uint8)).flags


def test_photos_of_parcels_are_not_flagged_and_blurred_ones_are() -> None:
    files = sorted(shared_data("package_damage").glob("*/*.jpg"))[::4]
    contents = [prepare(decode(file.read_bytes(), "image/jpeg", 1), MODEL)[0] for file in files]
    assert len(contents) >= 20
    assert [measure(c).flags for c in contents if measure(c).flags] == []
    blurred = [blur(c) for c in contents]
    assert [measure(c).flags for c in blurred if "blurred" not in measure(c).flags] == []
