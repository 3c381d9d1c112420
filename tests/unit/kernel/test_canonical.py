"""Numbers and names as RFC 8785 writes them (appendix B and §3.2.3)."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framegate.kernel.canonical import canonical_json


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"), (-0.0, "0"), (1.0, "1"), (4.5, "4.5"), (-12.25, "-12.25"), (0.002, "0.002"), (1e-6, "0.000001"),
        (1e-7, "1e-7"), (1e-27, "1e-27"), (5e-324, "5e-324"), (1.7976931348623157e308, "1.7976931348623157e+308"),
        (1e20, "100000000000000000000"), (1e21, "1e+21"), (1.2345678901234568e20, "123456789012345680000"),
        (333333333.33333329, "333333333.3333333"), (295147905179352830000.0, "295147905179352830000"),
        (9007199254740993, "9007199254740993"), (True, "true"), (None, "null"),
    ],
)  # fmt: skip
def test_numbers_are_written_as_ecmascript_writes_them(value: object, text: str) -> None:
    assert canonical_json(value) == text.encode()


def test_members_are_ordered_by_utf_16_and_strings_escape_no_more_than_they_must() -> None:
    names = ["€", "\r", "\ufb33", "1", "\U0001f600", "\x80", "ö"]
    found = json.loads(canonical_json(dict.fromkeys(names, 0)))
    assert list(found) == ["\r", "1", "\x80", "ö", "€", "\U0001f600", "\ufb33"]
    assert canonical_json({"a": '€\x0f\n"\\/\x7f'}) == '{"a":"€\\u000f\\n\\"\\\\/\x7f"}'.encode()


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_no_number_loses_anything(value: float) -> None:
    assert float(canonical_json(value)) == value


@pytest.mark.parametrize("value", [math.nan, math.inf, b"bytes", {1, 2}])
def test_what_is_no_json_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="no JSON"):
        canonical_json(value)
