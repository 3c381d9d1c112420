"""The cases of W3C Trace Context, level 2."""

from uuid import UUID

import pytest

from framegate.kernel.ids import new_image_id
from framegate.kernel.tracecontext import (
    context_of,
    is_chosen,
    is_sampled,
    new_span_id,
    read_traceparent,
    root_of,
    trace_id_of,
    unsampled,
)

TRACE_ID, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACE = f"00-{TRACE_ID}-{PARENT}-01"


@pytest.mark.parametrize("flags", ["00", "01", "02", "03"])
def test_a_well_formed_traceparent_is_taken_as_it_is(flags: str) -> None:
    assert read_traceparent(TRACE[:-2] + flags) == TRACE[:-2] + flags


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        TRACE.upper(),
        TRACE[:-1],
        f" {TRACE}",
        f"{TRACE}\n",
        f"{TRACE}-x",
        f"{TRACE}x",
        f"ff{TRACE[2:]}",
        f"0{TRACE}",
        TRACE.replace(TRACE_ID, "0" * 32),
        TRACE.replace(PARENT, "0" * 16),
        f"01{TRACE[2:]}x",
    ],
)
def test_what_is_malformed_is_no_trace(text: str) -> None:
    assert read_traceparent(text) == ""


@pytest.mark.parametrize("more", ["", "-", "-what-the-future-will-be"])
def test_of_a_later_version_is_taken_what_is_known_of_it(more: str) -> None:
    assert read_traceparent(f"cc-{TRACE_ID}-{PARENT}-01{more}") == TRACE


def test_flags_that_are_not_known_are_not_passed_on() -> None:
    assert read_traceparent(f"{TRACE[:-2]}ff") == f"{TRACE[:-2]}03"


@pytest.mark.parametrize(("flags", "sampled"), [("00", False), ("01", True), ("02", False), ("03", True)])
def test_the_lowest_bit_says_whether_a_trace_is_recorded(flags: str, sampled: bool) -> None:
    trace = TRACE[:-2] + flags
    assert is_sampled(trace) is sampled
    assert trace_id_of(trace) == (TRACE_ID if sampled else None)
    assert unsampled(trace) == TRACE[:-2] + {"01": "00", "03": "02"}.get(flags, flags)


def test_no_trace_is_not_recorded() -> None:
    assert not is_sampled("")
    assert trace_id_of("") is None


def test_a_context_is_read_from_its_own_text() -> None:
    context = context_of(TRACE)
    assert (context.trace_id, context.span_id, context.flags) == (TRACE_ID, PARENT, 1)
    assert str(context) == TRACE
    assert str(context.next("1" * 16)) == TRACE.replace(PARENT, "1" * 16)


def test_a_trace_that_begins_here_has_the_id_of_its_image_and_says_that_it_is_random() -> None:
    image_id = new_image_id()
    root = str(root_of(image_id, new_span_id()))
    assert root == read_traceparent(root)
    assert UUID(trace_id_of(root)) == image_id
    assert root.endswith("-03")


def test_the_share_of_images_that_is_chosen_is_about_the_one_that_was_asked_for() -> None:
    images = [new_image_id() for _ in range(20_000)]
    assert 100 < sum(is_chosen(image, 0.01) for image in images) < 300  # 200 are expected, with a deviation of 14
    assert all(is_chosen(image, 1) for image in images)
    assert not any(is_chosen(image, 0) for image in images)


def test_who_is_chosen_for_a_small_share_is_chosen_for_a_larger_one() -> None:
    images = [new_image_id() for _ in range(2_000)]
    assert all(is_chosen(image, 0.3) for image in images if is_chosen(image, 0.1))
