"""From the original to the model's input and back to the same pixel."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framegate.kernel.frames import decode_frame, encode_frame, pad
from framegate.kernel.geometry import Letterbox, Placement, Region
from framegate.kernel.manifest import ModelInput
from framegate.preprocess.letterbox import content_size, prepare
from framegate.preprocess.sizes import fit

from .files import noise, scene

sides = st.integers(32, 8000) | st.sampled_from([32, 33, 8000])
inputs = st.integers(32, 1280) | st.sampled_from([320, 416, 640])


@given(sides, sides, inputs, inputs, st.sampled_from(["center", "top-left"]), st.data())
def test_a_box_comes_back_to_within_half_a_pixel(
    width: int, height: int, input_width: int, input_height: int, placement: Placement, data: st.DataObject
) -> None:
    letterbox = Letterbox.fit(width, height, input_width, input_height, placement)
    x = sorted(data.draw(st.tuples(st.floats(0, width, width=32), st.floats(0, width, width=32))))
    y = sorted(data.draw(st.tuples(st.floats(0, height, width=32), st.floats(0, height, width=32))))
    box = np.array([[x[0], y[0], x[1], y[1]]], np.float32)
    prepared = letterbox.to_prepared(box)
    assert (prepared >= -0.001).all()
    assert (prepared <= np.array([input_width, input_height] * 2) + 0.001).all()
    assert np.abs(letterbox.to_original(prepared) - box).max() < 0.5


@given(sides, sides, inputs, st.sampled_from(["center", "top-left"]), st.data())
def test_boxes_in_a_region_are_boxes_of_the_whole_picture(
    width: int, height: int, side: int, placement: Placement, data: st.DataObject
) -> None:
    x, y = data.draw(st.integers(0, width - 16)), data.draw(st.integers(0, height - 16))
    region = Region(x, y, data.draw(st.integers(16, width - x)), data.draw(st.integers(16, height - y)))
    letterbox = fit(width, height, ModelInput(side, side, True, False, letterbox=placement), region)
    box = np.array([[x + 2, y + 3, x + region.width - 1, y + region.height]], np.float32)
    prepared = letterbox.to_prepared(box)
    assert (prepared >= -0.001).all()
    assert (prepared <= side + 0.001).all()
    assert np.abs(letterbox.to_original(prepared) - box).max() < 0.5
    everything = letterbox.to_original(np.array([[-9, -9, side + 9, side + 9]], np.float32))
    assert everything[0].tolist() == list(region.xyxy)
    assert Letterbox.from_json(letterbox.to_json()) == letterbox


def test_a_letterbox_that_was_stored_before_there_were_regions_is_one_of_the_whole_picture() -> None:
    whole = Letterbox.fit(1920, 1080, 640, 640)
    assert "x" not in whole.to_json()
    assert Letterbox.from_json(whole.to_json()) == whole


@given(sides, sides, inputs, inputs, st.sampled_from(["center", "top-left"]))
def test_the_content_fits_touches_two_borders_and_keeps_the_aspect_ratio(
    width: int, height: int, input_width: int, input_height: int, placement: Placement
) -> None:
    box = Letterbox.fit(width, height, input_width, input_height, placement)
    assert 1 <= box.content_width <= input_width - box.left
    assert 1 <= box.content_height <= input_height - box.top
    assert box.content_width == input_width or box.content_height == input_height
    scale = min(input_width / width, input_height / height)
    assert abs(box.content_width - width * scale) <= 0.5 or box.content_width == 1
    assert abs(box.content_height - height * scale) <= 0.5 or box.content_height == 1


@pytest.mark.parametrize(
    "size", [(1920, 1080), (810, 1080), (4032, 3024), (800, 480), (101, 33), (640, 640), (33, 999)]
)
def test_prepare_and_pad_give_what_the_training_gave(size: tuple[int, int]) -> None:
    """Resize linearly, then a border of grey, halves of a pixel to the top and left."""
    frame, model = noise(*size), ModelInput(640, 640, True, False)
    ratio = min(640 / size[0], 640 / size[1])
    new = (round(size[0] * ratio), round(size[1] * ratio))
    dw, dh = (640 - new[0]) / 2, (640 - new[1]) / 2
    expected = cv2.copyMakeBorder(
        frame if new == size else cv2.resize(frame, new, interpolation=cv2.INTER_LINEAR),
        round(dh - 0.1), round(dh + 0.1), round(dw - 0.1), round(dw + 0.1),
        cv2.BORDER_CONSTANT, value=(114, 114, 114),
    )  # fmt: skip
    content, letterbox = prepare(frame, model)
    assert content.shape == (new[1], new[0], 3)
    assert content_size(*size, model) == new
    assert (pad(content, letterbox, model.pad_value) == expected).all()


def test_the_letterbox_of_a_smaller_decode_leads_back_to_the_original() -> None:
    model = ModelInput(64, 64, True, False)
    content, letterbox = prepare(scene(50, 40), model, (99, 79))
    assert (letterbox.width, letterbox.height) == (99, 79)
    assert content.shape[:2] == (letterbox.content_height, letterbox.content_width)
    corner = np.array(
        [[letterbox.left, letterbox.top, letterbox.left + 64, letterbox.top + content.shape[0]]], np.float32
    )
    assert letterbox.to_original(corner).tolist() == [[0, 0, 99, 79]]


@pytest.mark.parametrize("size", [(8000, 32), (32, 8000), (8000, 33)])
def test_the_most_extreme_frames_keep_at_least_a_row(size: tuple[int, int]) -> None:
    content, letterbox = prepare(noise(*size), ModelInput(320, 320, True, False))
    assert min(content.shape[:2]) >= 1
    assert pad(content, letterbox, 114).shape == (320, 320, 3)


@pytest.mark.parametrize("codec", ["raw", "zstd"])
def test_a_frame_survives_its_codec(codec: str) -> None:
    frame = noise(37, 33)
    data = bytes(encode_frame(frame, codec))
    assert (decode_frame(data, codec, 33, 37) == frame).all()
    assert (decode_frame(bytes(encode_frame(frame[:, ::2], codec)), codec, 33, 19) == frame[:, ::2]).all()
    with pytest.raises(ValueError, match="bytes"):
        decode_frame(data, codec, 33, 38)
    with pytest.raises(ValueError, match="unknown"):
        encode_frame(frame, "webp")
