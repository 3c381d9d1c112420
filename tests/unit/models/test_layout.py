from dataclasses import replace

import pytest

from framegate.kernel.errors import ModelRefused
from framegate.kernel.manifest import Head
from framegate.kernel.weights import Shape, WeightsFacts
from framegate.models.layout import class_count, head_of, size_of

FACTS = WeightsFacts("onnx", "images", (None, 3, None, None), (None, 300, 6))
SEVEN = tuple("abcdefg")


@pytest.mark.parametrize(
    ("shape", "classes", "head"),
    [
        ((None, 300, 6), SEVEN, Head.END2END),
        ((1, 300, 6), (), Head.END2END),
        ((1, 11, 8400), SEVEN, Head.ANCHORS),
        ((1, 84, None), (), Head.ANCHORS),
        ((None, 7), SEVEN, Head.CLASSIFY),
        # Could be one of several heads: people must say.
        ((1, 3549, 85), (), None),
        ((1, 3549, 6), ("box",), None),
        ((1, 12, 8400), SEVEN, None),
        ((1, 300, 6, 1), SEVEN, None),
        ((None, None, None), SEVEN, None),
    ],
)
def test_the_head_is_told_from_the_output_only_where_there_is_no_doubt(
    shape: Shape, classes: tuple[str, ...], head: Head | None
) -> None:
    assert head_of(replace(FACTS, output_shape=shape, classes=classes)) is head


def test_an_end_to_end_head_of_any_length_is_known_by_its_metadata() -> None:
    assert head_of(replace(FACTS, output_shape=(1, None, 6), end2end=True)) is Head.END2END
    assert head_of(replace(FACTS, output_shape=(1, None, 6))) is None


@pytest.mark.parametrize("task", ["segment", "pose", "obb"])
def test_other_tasks_are_refused_by_name(task: str) -> None:
    with pytest.raises(ModelRefused, match=f"task {task}: Framegate serves detect and classify"):
        head_of(replace(FACTS, task=task))


@pytest.mark.parametrize(
    ("head", "shape", "count"),
    [
        (Head.ANCHORS, (1, 84, 2100), 80),
        (Head.YOLOX, (1, 3549, 85), 80),
        (Head.CLASSIFY, (None, 3), 3),
        (Head.END2END, (1, 300, 6), None),
        (Head.ANCHORS, (1, None, None), None),
    ],
)
def test_the_number_of_classes_is_read_from_the_output(head: Head, shape: Shape, count: int | None) -> None:
    assert class_count(head, shape) == count


def test_the_size_is_what_the_graph_fixes_else_what_was_asked_else_what_it_was_exported_for() -> None:
    fixed = replace(FACTS, input_shape=(1, 3, 384, 640), size=(320, 320))
    assert size_of(fixed, None, "x.onnx") == (640, 384)
    free = replace(FACTS, size=(320, 256))
    assert size_of(free, None, "x.onnx") == (320, 256)
    assert size_of(free, (640, 640), "x.onnx") == (640, 640)
    assert size_of(FACTS, None, "x.onnx") is None


@pytest.mark.parametrize(
    ("facts", "asked", "complaint"),
    [
        (replace(FACTS, input_shape=(1, 3, 640, 640)), (320, 320), "takes 640 x 640 pixels, not 320 x 320"),
        (replace(FACTS, input_shape=(1, 1, 640, 640)), None, r"takes \(1, 1, 640, 640\).*RGB"),
        (replace(FACTS, input_shape=(1, 640, 640, 3)), None, r"takes \(1, 640, 640, 3\).*RGB"),
        (replace(FACTS, input_shape=(None, 128)), None, r"takes \(n, 128\).*RGB"),
        (replace(FACTS, stride=32), (650, 640), "cannot take 650 x 640 pixels.*multiples of 32"),
        (replace(FACTS, input_shape=(1, 3, 16, 16)), None, "cannot take 16 x 16"),
        (FACTS, (8192, 8192), "cannot take 8192 x 8192"),
    ],
)
def test_input_that_cannot_be_a_picture_of_that_size_is_refused(
    facts: WeightsFacts, asked: tuple[int, int] | None, complaint: str
) -> None:
    with pytest.raises(ModelRefused, match=rf"x\.onnx {complaint}"):
        size_of(facts, asked, "x.onnx")
