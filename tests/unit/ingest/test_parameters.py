from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framegate.ingest.parameters import parse_moment, parse_parameters
from framegate.kernel.states import Lane
from framegate.web.problems import Problem

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def slug(*pairs: tuple[str, str]) -> str:
    with pytest.raises(Problem) as caught:
        parse_parameters(pairs, NOW)
    return caught.value.slug


def test_only_the_camera_is_needed() -> None:
    parsed = parse_parameters([("camera", "dock-3")], NOW)
    assert (parsed.camera, parsed.captured_at, parsed.lane, parsed.facility) == ("dock-3", None, Lane.LIVE, None)
    assert parsed.metadata == {}


def test_everything_that_is_known_arrives() -> None:
    pairs = [
        ("camera", "c"),
        ("lane", "bulk"),
        ("facility", "f"),
        ("shipment", "S-1"),
        ("meta.note", "left side, 2 °C"),
    ]
    parsed = parse_parameters([*pairs, ("captured_at", "2026-11-23T10:00:00+01:00")], NOW)
    assert parsed.captured_at == datetime(2026, 11, 23, 9, tzinfo=UTC)
    assert (parsed.lane, parsed.facility) == (Lane.BULK, "f")
    assert parsed.metadata == {"shipment": "S-1", "meta.note": "left side, 2 °C"}


def test_free_and_documented_metadata_of_one_name_stay_apart() -> None:
    parsed = parse_parameters([("camera", "c"), ("dock", "D1"), ("meta.dock", "old D2")], NOW)
    assert parsed.metadata == {"dock": "D1", "meta.dock": "old D2"}


BAD_NAMES = [
    "", "../x", "a/b", "a\0b", "a\r\nb", "\u202egnp", "x" * 10_240, "a b", "'; drop table images;--", "<script>",
    "=cmd()", "ä", "a\n", "\ud800", "%2e%2e",
]  # fmt: skip


@pytest.mark.parametrize("name", ["camera", "facility", "shipment", "sscc", "dock", "pallet", "sku", "order", "lot"])
@pytest.mark.parametrize("value", BAD_NAMES)
def test_row_55_names_that_would_need_quoting_somewhere_are_refused(name: str, value: str) -> None:
    assert slug(*({"camera": "c"} | {name: value}).items()) == "invalid-parameter"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "a\0b",
        "line\nfeed",
        "\u202eturned",
        "\ud800",
        "no \N{REPLACEMENT CHARACTER}",
        "x" * 257,
        "zero\u200bwidth",
        "\u2028",
    ],
)
def test_row_54_free_text_that_cannot_be_shown_is_refused(value: str) -> None:
    assert slug(("camera", "c"), ("meta.note", value)) == "invalid-parameter"


@pytest.mark.parametrize("name", ["meta.", "meta.a b", "meta.../x", "meta." + "n" * 65])
def test_free_metadata_needs_a_plain_name(name: str) -> None:
    assert slug(("camera", "c"), (name, "x")) == "invalid-parameter"


def test_row_54_more_than_32_or_16_kib_of_free_metadata_is_refused() -> None:
    assert slug(("camera", "c"), *((f"meta.{n}", "x") for n in range(33))) == "invalid-parameter"
    assert slug(("camera", "c"), *((f"meta.{n}", "é" * 256) for n in range(32))) == "invalid-parameter"
    parse_parameters([("camera", "c"), *((f"meta.{n}", "x") for n in range(32))], NOW)


@pytest.mark.parametrize("name", ["colour", "Camera", "camera[]", "metadata", "", "meta", "x" * 500, "\0"])
def test_row_56_an_unknown_parameter_is_refused(name: str) -> None:
    assert slug(("camera", "c"), (name, "x")) == "unknown-parameter"


def test_a_parameter_given_twice_is_refused_even_when_both_say_the_same() -> None:
    assert slug(("camera", "c"), ("camera", "c")) == "invalid-parameter"


def test_an_unknown_lane_and_a_missing_camera_are_refused() -> None:
    assert slug(("camera", "c"), ("lane", "fast")) == "invalid-parameter"
    assert slug(("lane", "live")) == "invalid-parameter"


@pytest.mark.parametrize(
    "text",
    ["yesterday", "2026-11-23", "2026-11-23T10:00:00", "2026-11-23T10:00Z", "2026-13-01T00:00:00Z", "1763892000",
     "2026-11-23T24:00:00Z", "2026-11-23T10:00:00+25:00", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+01:00",
     "2026-11-24T12:00:01Z", " 2026-11-23T10:00:00Z", "2026-11-23T10:00:00Z\n", "",
     "\N{FULLWIDTH DIGIT TWO}026-11-23T10:00:00Z"],
)  # fmt: skip
def test_row_53_a_capture_time_that_is_no_rfc_3339_or_too_far_ahead_is_refused(text: str) -> None:
    assert slug(("camera", "c"), ("captured_at", text)) == "invalid-parameter"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-23T10:00:00Z", datetime(2026, 11, 23, 10, tzinfo=UTC)),
        ("2026-11-23t10:00:00.5z", datetime(2026, 11, 23, 10, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-11-23T10:00:00.123456789-05:30", datetime(2026, 11, 23, 15, 30, 0, 123_456, tzinfo=UTC)),
        ("2026-11-23T10:00:00 01:00", datetime(2026, 11, 23, 9, tzinfo=UTC)),
        ("1970-01-01T00:00:00Z", datetime(1970, 1, 1, tzinfo=UTC)),
        ("2026-11-24T12:00:00Z", datetime(2026, 11, 24, 12, tzinfo=UTC)),
    ],
)
def test_these_capture_times_are_understood(text: str, moment: datetime) -> None:
    assert parse_moment("captured_at", text, NOW) == moment


@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=60)), max_size=8))
def test_whatever_is_sent_only_a_problem_comes_of_it_and_it_repeats_no_value(pairs: list[tuple[str, str]]) -> None:
    with pytest.raises(Problem) as caught:
        parse_parameters([("lane", "no-such-lane-7f3a"), *pairs], NOW)
    assert "7f3a" not in str(caught.value)
