from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from framegate.inference.heads import decode_head
from framegate.kernel.errors import EngineFault
from framegate.kernel.manifest import Head, ModelInput, ModelManifest

DETECTORS = [head for head in Head if head is not Head.CLASSIFY]


def manifest(head: Head, classes: int = 3, floor: float = 0.25, width: int = 64, height: int = 32) -> ModelManifest:
    names = tuple(f"class-{i}" for i in range(classes))
    box = ModelInput(width, height, dynamic_batch=True, dynamic_size=False)
    return ModelManifest("m", "1", "test", Path("m.onnx"), "", head, names, box, floor, {}, (), {})


def rows_of(raw: Any, model: ModelManifest) -> list[list[list[float]]]:
    decoded = decode_head(np.asarray(raw, np.float32), model)
    return [rows.round(4).tolist() for rows in decoded if not isinstance(rows, EngineFault)]


class TestEnd2End:
    def test_rows_below_the_floor_are_dropped_and_the_floor_itself_is_kept(self) -> None:
        raw = [[[1, 2, 3, 4, 0.9, 2], [1, 2, 3, 4, 0.25, 0], [1, 2, 3, 4, 0.2, 0]]]
        assert rows_of(raw, manifest(Head.END2END)) == [[[1, 2, 3, 4, pytest.approx(0.9), 2], [1, 2, 3, 4, 0.25, 0]]]

    def test_overlapping_rows_stay_because_the_model_did_its_own_suppression(self) -> None:
        raw = [[[1, 2, 3, 4, 0.9, 0], [1, 2, 3, 4, 0.8, 0]]]
        assert len(rows_of(raw, manifest(Head.END2END))[0]) == 2

    @pytest.mark.parametrize("class_id", [3, -1, 0.5])
    def test_a_class_the_manifest_does_not_have_is_a_fault(self, class_id: float) -> None:
        [fault] = decode_head(np.array([[[1, 2, 3, 4, 0.9, class_id]]], np.float32), manifest(Head.END2END))
        assert isinstance(fault, EngineFault)

    def test_a_confidence_above_one_is_a_fault_and_rounding_above_one_is_not(self) -> None:
        raw = np.array([[[1, 2, 3, 4, 1.004, 0]], [[1, 2, 3, 4, 7.0, 0]]], np.float32)
        rounded, fault = decode_head(raw, manifest(Head.END2END))
        assert not isinstance(rounded, EngineFault)
        assert rounded[0, 4] == 1
        assert isinstance(fault, EngineFault)
        assert raw[0, 0, 4] > 1, "the raw output is the caller's"


class TestAnchors:
    """Columns are anchors: centre x, centre y, width, height, then one score for each class."""

    def test_centres_become_corners_and_the_best_class_wins(self) -> None:
        raw = np.zeros((1, 7, 2), np.float32)
        raw[0, :, 1] = [20, 10, 8, 4, 0.3, 0.8, 0.4]
        assert rows_of(raw, manifest(Head.ANCHORS)) == [[[16, 8, 24, 12, pytest.approx(0.8), 1]]]

    def test_boxes_of_one_class_are_suppressed_above_an_overlap_of_seven_tenths(self) -> None:
        raw = np.zeros((1, 7, 4), np.float32)
        raw[0, :, 0] = [10, 10, 10, 10, 0.8, 0, 0]
        raw[0, :, 1] = [10, 10, 10, 8, 0.9, 0, 0]  # overlap 0.8
        raw[0, :, 2] = [10, 10, 10, 6, 0.7, 0, 0]  # overlap 0.75 with the one above
        raw[0, :, 3] = [10, 10, 10, 8, 0, 0.6, 0]  # another class
        assert [row[4:] for row in rows_of(raw, manifest(Head.ANCHORS))[0]] == [
            [pytest.approx(0.9), 0],
            [pytest.approx(0.6), 1],
        ]

    def test_each_frame_of_a_batch_is_decoded_for_itself(self) -> None:
        raw = np.zeros((3, 7, 1), np.float32)
        raw[0, :, 0] = raw[2, :, 0] = [20, 10, 8, 4, 0.9, 0, 0]
        raw[2, 0, 0] = 30
        assert [len(rows) for rows in rows_of(raw, manifest(Head.ANCHORS))] == [1, 0, 1]
        assert rows_of(raw, manifest(Head.ANCHORS))[2][0][0] == 26

    def test_never_more_than_three_hundred_boxes(self) -> None:
        raw = np.zeros((1, 7, 400), np.float32)
        raw[0, 0] = np.arange(400) * 20
        raw[0, 2:4], raw[0, 4] = 10, 0.9
        assert len(rows_of(raw, manifest(Head.ANCHORS))[0]) == 300


class TestYolox:
    """64 x 32 has 8 x 4 cells of 8 px, 4 x 2 of 16 px and 2 x 1 of 32 px, in this order, row by row."""

    def raw(self, **anchors: list[float]) -> NDArray[np.float32]:
        raw = np.zeros((1, 32 + 8 + 2, 8), np.float32)
        for name, values in anchors.items():
            raw[0, int(name[1:])] = values
        return raw

    @pytest.mark.parametrize(
        ("anchor", "centre", "stride"),
        [("a0", (4, 4), 8), ("a9", (12, 12), 8), ("a31", (60, 28), 8), ("a32", (8, 8), 16), ("a41", (48, 16), 32)],
    )
    def test_boxes_lie_where_their_cell_is(self, anchor: str, centre: tuple[int, int], stride: int) -> None:
        raw = self.raw(**{anchor: [0.5, 0.5, 0, np.log(2), 0.9, 0, 0, 1]})
        [[row]] = rows_of(raw, manifest(Head.YOLOX))
        x, y = centre
        assert row == pytest.approx([x - stride / 2, y - stride, x + stride / 2, y + stride, 0.9, 2], abs=1e-3)

    def test_confidence_is_objectness_times_class(self) -> None:
        raw = self.raw(a0=[0, 0, 0, 0, 0.5, 0.8, 0, 0], a5=[0, 0, 0, 0, 0.5, 0.4, 0, 0])
        [[row]] = rows_of(raw, manifest(Head.YOLOX))
        assert row[4] == pytest.approx(0.4)

    def test_a_box_too_large_to_express_is_a_fault(self) -> None:
        [fault] = decode_head(self.raw(a0=[0, 0, 1000, 0, 0.9, 1, 0, 0]), manifest(Head.YOLOX))
        assert isinstance(fault, EngineFault)
        assert "infinitely large" in str(fault)


SHAPES = {Head.END2END: (300, 6), Head.ANCHORS: (7, 42), Head.YOLOX: (42, 8)}


@pytest.mark.parametrize("head", DETECTORS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, -1])
def test_only_the_frame_that_holds_nan_or_infinity_is_at_fault(head: Head, bad: float, place: int) -> None:
    raw = np.zeros((3, *SHAPES[head]), np.float32)
    raw[1].flat[place] = bad
    before, fault, after = decode_head(raw, manifest(head))
    assert isinstance(fault, EngineFault)
    assert not isinstance(before, EngineFault)
    assert not isinstance(after, EngineFault)


@pytest.mark.parametrize("head", DETECTORS)
def test_an_output_of_another_shape_is_a_fault_of_the_whole_batch(head: Head) -> None:
    rows, columns = SHAPES[head]
    good = manifest(head)
    assert len(decode_head(np.zeros((2, rows, columns), np.float32), good)) == 2
    wrong = [(2, columns, rows), (2, rows * columns), (2, rows, columns, 1)]
    for shape in wrong:
        with pytest.raises(EngineFault, match=f"head {head.value} with 3 classes"):
            decode_head(np.zeros(shape, np.float32), good)


@pytest.mark.parametrize("head", [Head.ANCHORS, Head.YOLOX])
def test_a_model_of_another_class_count_is_a_fault_of_the_whole_batch(head: Head) -> None:
    more = replace(manifest(head), classes=("a", "b", "c", "d"))
    with pytest.raises(EngineFault, match="with 4 classes"):
        decode_head(np.zeros((1, *SHAPES[head]), np.float32), more)


@pytest.mark.parametrize("head", DETECTORS)
def test_no_detections_is_an_empty_array_of_six_columns(head: Head) -> None:
    [rows] = decode_head(np.zeros((1, *SHAPES[head]), np.float32), manifest(head))
    assert not isinstance(rows, EngineFault)
    assert rows.shape == (0, 6)


def test_a_classifier_cannot_be_the_detector() -> None:
    with pytest.raises(EngineFault, match="cannot be the detector"):
        decode_head(np.zeros((1, 3), np.float32), manifest(Head.CLASSIFY))
