"""What the shapes of a graph say: which head it has, for how many classes, and what pictures it takes."""

from typing import Final

from framegate.kernel.errors import ModelRefused
from framegate.kernel.manifest import MAX_SIDE, MIN_SIDE, Head
from framegate.kernel.weights import Shape, WeightsFacts

_SERVED_TASKS: Final = ("", "detect", "classify")
#: End-to-end heads give a few hundred rows; those before NMS give thousands.
_MOST_ROWS: Final = 1000


def head_of(facts: WeightsFacts) -> Head | None:
    """The head, where task and shapes leave no doubt. Raises `ModelRefused` for tasks that are not served.

    (n, anchors, 5 + classes) is never certain: YOLOX before its grid, YOLOX after it, and YOLOv5 look alike.
    """
    if facts.task not in _SERVED_TASKS:
        raise ModelRefused(f"the model was made for the task {facts.task}: Framegate serves detect and classify")
    shape = facts.output_shape
    if len(shape) == 2 and facts.task != "detect":
        return Head.CLASSIFY
    if len(shape) != 3:
        return None
    if shape[2] == 6 and (facts.end2end or (shape[1] or _MOST_ROWS + 1) <= _MOST_ROWS):
        return Head.END2END
    features, anchors = shape[1:]
    if features is not None and features > 4 and (anchors is None or anchors > features):
        return Head.ANCHORS if not facts.classes or features == 4 + len(facts.classes) else None
    return None


def class_count(head: Head, shape: Shape) -> int | None:
    """How many classes an output of this shape has; None: the shape does not say."""
    axis, more = {Head.END2END: (2, None), Head.ANCHORS: (1, 4), Head.YOLOX: (2, 5), Head.CLASSIFY: (1, 0)}[head]
    size = shape[axis] if axis < len(shape) else None
    return None if more is None or size is None else size - more


def size_of(facts: WeightsFacts, asked: tuple[int, int] | None, where: str) -> tuple[int, int] | None:
    """(width, height) of the input: what the graph fixes, else what was `asked`, else what it was exported for.

    None where nobody says. Raises `ModelRefused` for input that is no picture and for a size that cannot be.
    """
    if len(facts.input_shape) != 4 or facts.input_shape[1] not in (3, None):
        raise ModelRefused(
            f"{where} takes {_shown(facts.input_shape)}, Framegate gives RGB pictures as (n, 3, height, width): "
            "export it with such an input"
        )
    height, width = facts.input_shape[2:]
    size = asked or facts.size or (width or 0, height or 0)
    if (width not in (None, size[0]) or height not in (None, size[1])) and asked:
        raise ModelRefused(f"{where} takes {width or 'any'} x {height or 'any'} pixels, not {size[0]} x {size[1]}")
    size = width or size[0], height or size[1]
    if size == (0, 0):
        return None
    stride = facts.stride or 1
    if min(size) < MIN_SIDE or max(size) > MAX_SIDE or size[0] % stride or size[1] % stride:
        raise ModelRefused(
            f"{where} cannot take {size[0]} x {size[1]} pixels: sides are {MIN_SIDE} to {MAX_SIDE} and multiples of {stride}"
        )
    return size


def hint(facts: WeightsFacts) -> str:
    """What its output looks like, for the person who must name the head."""
    shape = facts.output_shape
    if len(shape) == 3 and shape[2] is not None and shape[2] > 5:
        return f"{_shown(shape)} is yolox if it was exported raw, without decode_in_inference"
    return f"its output is {_shown(shape)}"


def _shown(shape: Shape) -> str:
    return "(" + ", ".join("n" if d is None else str(d) for d in shape) + ")"
