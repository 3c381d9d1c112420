"""When a message that did not arrive is sent again, and when an endpoint is given up."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

#: Seconds before each try, from the one before. Ten tries in 75 h 35 min, without jitter.
SCHEDULE_S: Final = (0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
#: Each delay is spread by this share in both directions, so that what failed together does not come back together.
JITTER: Final = 0.2
LONGEST_RETRY_AFTER_S: Final = 86_400

DISABLE_AFTER: Final = timedelta(days=5)
DISABLE_FAILURES: Final = 10
DISABLE_SPAN: Final = timedelta(hours=12)


def next_delay_s(attempts_made: int, jitter: float, retry_after_s: float | None = None) -> float | None:
    """Seconds until the next try, None when there is none left; `jitter` is a random number in [0, 1).

    What the receiver asks for with `Retry-After` postpones a try, by a day at most, and never brings it forward.
    """
    if attempts_made < 0:
        raise ValueError("attempts_made counts from 0")
    if attempts_made >= len(SCHEDULE_S):
        return None
    delay = SCHEDULE_S[attempts_made] * (1 - JITTER + 2 * JITTER * jitter)
    return max(delay, min(retry_after_s or 0, LONGEST_RETRY_AFTER_S))


def should_disable(
    first_failure_at: datetime | None, now: datetime, failures: int, last_failure_at: datetime | None
) -> bool:
    """Whether to give an endpoint up: five days without one success, and not for the sake of few or clustered failures.

    All counted since its last success; None while there was no failure since then.
    """
    if first_failure_at is None or last_failure_at is None:
        return False
    return (
        now - first_failure_at >= DISABLE_AFTER
        and failures >= DISABLE_FAILURES
        and last_failure_at - first_failure_at >= DISABLE_SPAN
    )


def parse_retry_after(value: str, now: datetime) -> float | None:
    """Seconds from `now`, of either form (RFC 9110 §10.2.3), never negative; None for anything else."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value[:12])
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:  # "-0000": it claims to be UTC without knowing its zone
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())
