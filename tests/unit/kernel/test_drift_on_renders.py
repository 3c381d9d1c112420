"""Shifts of real pixels: renders through the measures of preprocess. The detections alone are simulated."""

from copy import deepcopy
from datetime import timedelta

import pytest

from framegate.adapters.memory.drift import MemoryShelf
from framegate.kernel.drift import follow
from framegate.kernel.drift_features import Kind
from framegate.kernel.drift_state import DriftLimits, Subject
from tests.support.drift import FACILITY, START
from tests.support.renders import Stream, blurred, darker, renders

DOCK = Subject(FACILITY, Kind.CAMERA, "dock-1")
#: All as it is shipped.
LIMITS = DriftLimits()
_EVERY_S = 400.0
_LEARNT = 1660  # 7.7 days
_POOL = 150


class Camera:
    def __init__(self) -> None:
        self.stream, self.shelf, self.now, self.taken = Stream(1, renders(1, _POOL)), MemoryShelf(), START, 0

    def sends(self, images: int) -> set[str]:
        """What drifts after these."""
        for seen in self.stream.images(self.now, images, _EVERY_S):
            follow([seen], self.shelf, LIMITS)
        self.now += timedelta(seconds=images * _EVERY_S)
        self.taken += images
        return set(self.shelf.drifts[DOCK].holds)


@pytest.fixture(scope="module")
def learning() -> Camera:
    camera = Camera()
    camera.sends(_LEARNT)
    assert {part.frozen_at is not None for part in camera.shelf.drifts[DOCK].parts.values()} == {True}
    return camera


@pytest.fixture
def camera(learning: Camera) -> Camera:
    return deepcopy(learning)


def needed(camera: Camera, features: set[str]) -> int:
    """Images until one of the features is alarmed about."""
    before = camera.taken
    for _ in range(60):
        if camera.sends(10) & features:
            break
    return camera.taken - before


def test_renders_as_before_raise_no_alarm(camera: Camera) -> None:
    assert camera.sends(1500) == set()


def test_light_minus_40_percent_is_an_alarm_within_500_images(camera: Camera) -> None:
    camera.stream.shift = darker
    assert needed(camera, {"brightness", "contrast"}) <= 500


def test_blur_is_an_alarm_within_500_images(camera: Camera) -> None:
    camera.stream.shift = blurred
    assert needed(camera, {"sharpness"}) <= 500


def test_a_new_carton_colour_is_an_alarm_within_500_images(camera: Camera) -> None:
    camera.stream.pool = renders(2, _POOL, blue=True)
    assert needed(camera, {"blue", "red"}) <= 500


def test_another_class_mix_is_an_alarm_within_500_images(camera: Camera) -> None:
    camera.stream.damaged = 0.6
    assert needed(camera, {"class", "verdict"}) <= 500
