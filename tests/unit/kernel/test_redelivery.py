from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framegate.kernel.redelivery import SCHEDULE_S, next_delay_s, parse_retry_after, should_disable

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR_S, DAY_S = 3600, 86_400


def test_ten_tries_take_three_days_and_a_little() -> None:
    delays = [next_delay_s(made, 0.5) for made in range(10)]
    assert delays == pytest.approx(
        [0, 5, 300, 1800, 2 * HOUR_S, 5 * HOUR_S, 10 * HOUR_S, 14 * HOUR_S, 20 * HOUR_S, 24 * HOUR_S]
    )
    assert sum(SCHEDULE_S) == 75 * HOUR_S + 35 * 60 + 5


def test_after_the_tenth_try_the_message_is_dead_whatever_the_receiver_asks_for() -> None:
    assert next_delay_s(10, 0.5) is None
    assert next_delay_s(11, 0.5, 60) is None


@given(st.integers(1, 9), st.floats(0, 1, exclude_max=True))
def test_delays_are_spread_by_a_fifth(made: int, jitter: float) -> None:
    delay = next_delay_s(made, jitter)
    assert delay is not None
    assert 0.8 * SCHEDULE_S[made] - 1e-6 <= delay <= 1.2 * SCHEDULE_S[made] + 1e-6


def test_jitter_uses_its_whole_range() -> None:
    assert next_delay_s(2, 0.0) == pytest.approx(240)
    assert next_delay_s(2, 0.999) == pytest.approx(360, abs=1)


@pytest.mark.parametrize(
    ("asked", "delay"),
    [(None, 5), (0, 5), (-3, 5), (2, 5), (60, 60), (DAY_S, DAY_S), (DAY_S + 1, DAY_S), (1e12, DAY_S)],
)
def test_what_the_receiver_asks_for_postpones_by_a_day_at_most(asked: float | None, delay: float) -> None:
    assert next_delay_s(1, 0.5, asked) == pytest.approx(delay)


def test_attempts_cannot_be_negative() -> None:
    with pytest.raises(ValueError, match="attempts_made"):
        next_delay_s(-1, 0.5)


@pytest.mark.parametrize(
    ("first_h", "last_h", "failures", "disabled"),
    [
        (120, 0, 10, True),
        (119.9, 0, 10, False),  # not five days yet
        (120, 0, 9, False),  # too few
        (121, 110, 50, False),  # all in one bad night
        (122, 110, 50, True),
        (500, 400, 10, True),
    ],
)
def test_an_endpoint_is_given_up_after_five_days_of_many_failures(
    first_h: float, last_h: float, failures: int, disabled: bool
) -> None:
    first, last = NOW - timedelta(hours=first_h), NOW - timedelta(hours=last_h)
    assert should_disable(first, NOW, failures, last) is disabled


def test_an_endpoint_without_failures_stays() -> None:
    assert not should_disable(None, NOW, 0, None)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        (" 120 ", 120),
        ("9" * 400, 999_999_999_999),
        ("Sun, 01 Mar 2026 12:02:00 GMT", 120),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0),
        ("Sunday, 01-Mar-26 12:02:00 GMT", 120),
        ("Sun Mar  1 12:02:00 2026", 120),
        ("Sun, 01 Mar 2026 12:02:00 -0000", 120),
        ("Sun, 01 Mar 2026 13:02:00 +0100", 120),
    ],
)
def test_both_forms_of_retry_after_are_understood(value: str, seconds: float) -> None:
    assert parse_retry_after(value, NOW) == seconds


_ENDLESS = "9" * 30


@pytest.mark.parametrize(
    "value",
    [
        "",
        "soon",
        "-1",
        "1.5",
        "1e3",
        "١٢",
        "Sun, 41 Mar 2026 12:02:00 GMT",
        "Sun, 01",
        f"Sun, 01 Mar {_ENDLESS} 12:02:00 GMT",
        f"Sun, 01 Mar 2026 12:02:00 +{_ENDLESS}",
    ],
)
def test_anything_else_asks_for_nothing(value: str) -> None:
    assert parse_retry_after(value, NOW) is None


@given(st.text(max_size=60))
def test_no_text_makes_parsing_raise(text: str) -> None:
    seconds = parse_retry_after(text, NOW)
    assert seconds is None or seconds >= 0
