"""A classifier's output is read or refused, and its input is cut as it was trained on."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from framegate.inference.classes import decode_classes, fill_input
from framegate.kernel.errors import EngineFault
from framegate.kernel.manifest import Head
from tests.support.inference import CLASSIFIER


def decoded(*rows: list[float]) -> list[NDArray[np.float32] | EngineFault]:
    return decode_classes(np.array(rows, np.float32), CLASSIFIER)


def test_probabilities_that_sum_to_one_are_taken() -> None:
    first, second = decoded([0.25, 0.5, 0.25], [0, 0, 1])
    assert isinstance(first, np.ndarray)
    assert isinstance(second, np.ndarray)
    assert (first.tolist(), second.tolist()) == ([0.25, 0.5, 0.25], [0, 0, 1])


def test_rounding_of_low_precision_is_forgiven_and_never_leaves_0_to_1() -> None:
    (answer,) = decoded([1.004, -0.004, 0.006])
    assert isinstance(answer, np.ndarray)
    assert (answer.min(), answer.max()) == (0, 1)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([3.1, -0.2, 0.4], "sum to 3.3, not one: export the classifier with its softmax"),
        ([0.5, 0.5, 0.5], "sum to 1.5"),
        ([1.5, -0.5, 0.0], "between -0.5 and 1.5"),
        ([0.0, 0.0, 0.0], "sum to 0"),
        ([np.nan, 0.5, 0.5], "1 NaN or infinite"),
        ([np.inf, 0.0, 0.0], "1 NaN or infinite"),
    ],
)
def test_what_are_no_probabilities_is_a_fault_of_that_picture_alone(row: list[float], message: str) -> None:
    good, bad = decoded([0.25, 0.5, 0.25], row)
    assert isinstance(good, np.ndarray)
    assert isinstance(bad, EngineFault)
    assert message in str(bad)


@pytest.mark.parametrize("shape", [(2,), (2, 2), (2, 4), (2, 1, 3), (2, 3, 1)])
def test_an_output_of_the_wrong_shape_is_refused_whole(shape: tuple[int, ...]) -> None:
    with pytest.raises(EngineFault, match=r"\(n, 3\): correct \[model\] in the manifest of wear@1"):
        decode_classes(np.full(shape, 1 / 3, np.float32), CLASSIFIER)


def test_a_detector_cannot_name_pictures() -> None:
    with pytest.raises(EngineFault, match="cannot be part of a chain"):
        decode_classes(np.full((1, 3), 1 / 3, np.float32), replace(CLASSIFIER, head=Head.END2END))


def picture(height: int, width: int) -> NDArray[np.uint8]:
    """Each pixel tells its row, its column and that it is one."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows, columns, np.full_like(rows, 255)], axis=2).astype(np.uint8)


def filled(source: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    out = np.zeros((height, width, 3), np.uint8)
    fill_input(source, out)
    return out


@pytest.mark.parametrize(
    ("size", "rows", "columns"),
    [((4, 4), (0, 4), (0, 4)), ((4, 10), (0, 4), (3, 7)), ((9, 4), (2, 6), (0, 4))],
)
def test_a_picture_of_the_inputs_size_is_cut_from_the_centre(
    size: tuple[int, int], rows: tuple[int, int], columns: tuple[int, int]
) -> None:
    source = picture(*size)
    assert np.array_equal(filled(source, 4, 4), source[slice(*rows), slice(*columns)])


def test_the_shortest_side_fills_the_input_and_the_longer_one_is_cut() -> None:
    # 8 x 20, of which the columns 6..13 are kept; each pixel of the input is the mean of two by two.
    out = filled(picture(8, 20) * np.array([2, 2, 1], np.uint8), 4, 4)
    assert out[:, 0, 0].tolist() == [1, 5, 9, 13]
    assert out[0, :, 1].tolist() == [13, 17, 21, 25]


def test_an_input_that_is_not_square_keeps_its_own_shape() -> None:
    source = picture(12, 12)
    assert np.array_equal(filled(source, 6, 12), source[3:9])


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (3, 2)])
def test_even_a_single_pixel_fills_the_input(size: tuple[int, int]) -> None:
    assert (filled(picture(*size), 8, 8)[..., 2] == 255).all()


def test_a_small_picture_is_enlarged() -> None:
    source = np.zeros((2, 2, 3), np.uint8)
    source[:, 1] = 200
    row = filled(source, 4, 4)[0, :, 0].tolist()
    assert row == [0, 50, 150, 200]
