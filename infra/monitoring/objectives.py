"""What was promised, and how fast a breach of it spends the budget: Google's SRE workbook, chapter 5.

Each objective has two series, `framegate:slo_all:rate5m` and `framegate:slo_bad:rate5m`, events each second. Everything else
follows from these alike: longer windows add up what was recorded, so that moments left out (see QUEUE_WAIT) stay left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from infra.monitoring.alarm import EVERY_S, Alarm, Group, Panel, Recording, Severity

#: Fewer bad events than these within the longer window prove nothing.
ENOUGH: Final = 10
#: Refusals that are our fault: every slug of web/problems.py with a status from 500 on, but for what is not installed.
OURS: Final = ("dependency-unavailable", "internal-error", "overloaded", "storage-unavailable")


@dataclass(frozen=True, slots=True)
class Objective:
    """`target`: the share of events that must be good. `all` and `bad` are PromQL, events each second."""

    slo: str
    alarm: str
    target: float
    all: str
    bad: str
    summary: str
    panel: str


@dataclass(frozen=True, slots=True)
class Burn:
    """So many times faster than allowed, over both windows: the long one says that it matters, the short that it lasts."""

    factor: float
    long: str
    short: str


#: 2 % of the budget of 30 days within an hour, 5 % within six hours, 10 % within three days.
PAGE: Final = (Burn(14.4, "1h", "5m"), Burn(6, "6h", "30m"))
TICKET: Final = (Burn(1, "3d", "6h"),)
_SEVERITIES: Final[tuple[tuple[Severity, tuple[Burn, ...]], ...]] = (("page", PAGE), ("ticket", TICKET))
_WINDOWS: Final = ("30m", "1h", "6h", "3d")


def _slower(histogram: str, bound: str, matchers: str = "", by: str = "") -> tuple[str, str]:
    """All events, and those above a bucket's bound."""
    label = f"{{{matchers}}}" if matchers else ""
    within = "{" + ",".join(filter(None, (matchers, f'le="{bound}"'))) + "}"
    total = f"sum{by} (rate({histogram}_count{label}[5m]))"
    return total, f"{total}\n- sum{by} (rate({histogram}_bucket{within}[5m]))"


def _without_bulk(expression: str) -> str:
    """Waits have no lane, and a backfill may wait: while its messages do, and until the rates forget them, we look away.

    What a backfill costs live images is seen meanwhile in the time to the verdict, which knows the lane.
    """
    return (
        f'({expression})\nunless on () max(max_over_time(framegate_queue_ready_messages{{queue=~".+-bulk"}}[10m])) > 0'
    )


_REFUSED: Final = f'(sum(rate(framegate_images_refused_total{{reason=~"{"|".join(OURS)}"}}[5m])) or vector(0))'
_ACCEPTED: Final = "(sum(rate(framegate_images_accepted_total[5m])) or vector(0))"
_accepts = _slower("framegate_accept_seconds", "0.3")
_waits = _slower("framegate_queue_wait_seconds", "1.0", by=" by (stage)")
_verdicts = _slower("framegate_accept_to_verdict_seconds", "2.5", 'lane="live"')

ACCEPT_LATENCY: Final = Objective(
    "accept-latency", "FramegateAcceptLatency", 0.99, *_accepts,
    "{{ $value | humanizePercentage }} of uploads waited more than 300 ms for their 202; 1 % may",
    "Uploads: accepted within 300 ms",
)  # fmt: skip
UPLOAD_ERRORS: Final = Objective(
    "upload-errors", "FramegateUploadErrors", 0.99, f"{_ACCEPTED}\n+ {_REFUSED}", _REFUSED,
    "{{ $value | humanizePercentage }} of uploads were refused through our fault (5xx); 1 % may be",
    "Uploads: answered without an error",
)  # fmt: skip
QUEUE_WAIT: Final = Objective(
    "queue-wait", "FramegateQueueWait", 0.99, _without_bulk(_waits[0]), _without_bulk(_waits[1]),
    "{{ $value | humanizePercentage }} of messages waited more than 1 s for {{ $labels.stage }}; 1 % may",
    "Messages: claimed within 1 s",
)  # fmt: skip
VERDICT: Final = Objective(
    "verdict", "FramegateVerdictLatency", 0.99, *_verdicts,
    "{{ $value | humanizePercentage }} of live images waited more than 2.5 s for their outcome; 1 % may",
    "Live images: decided within 2.5 s",
)  # fmt: skip
OBJECTIVES: Final = (ACCEPT_LATENCY, UPLOAD_ERRORS, QUEUE_WAIT, VERDICT)


def _recordings() -> Iterator[Recording]:
    for objective in OBJECTIVES:
        yield Recording("framegate:slo_all:rate5m", objective.all, {"slo": objective.slo})
        yield Recording("framegate:slo_bad:rate5m", objective.bad, {"slo": objective.slo})
    yield Recording("framegate:slo_bad:ratio5m", "framegate:slo_bad:rate5m / framegate:slo_all:rate5m")
    for window in _WINDOWS:
        bad = f"sum_over_time(framegate:slo_bad:rate5m[{window}])"
        yield Recording(
            f"framegate:slo_bad:ratio{window}", f"{bad} / sum_over_time(framegate:slo_all:rate5m[{window}])"
        )
        if window in {burn.long for burn in (*PAGE, *TICKET)}:
            yield Recording(f"framegate:slo_bad:events{window}", f"{bad} * seconds({EVERY_S:.0f}s)")


def _burning(objective: Objective, burn: Burn) -> str:
    slo, limit = f'{{slo="{objective.slo}"}}', f"{burn.factor * (1 - objective.target):.3g}"
    return (
        f"(framegate:slo_bad:ratio{burn.long}{slo} > {limit}\n"
        f" and framegate:slo_bad:ratio{burn.short}{slo} > {limit}\n"
        f" and framegate:slo_bad:events{burn.long}{slo} >= {ENOUGH})"
    )


def _alarm(objective: Objective, severity: Severity, burns: tuple[Burn, ...]) -> Alarm:
    return Alarm(
        objective.alarm,
        severity,
        "\nor\n".join(_burning(objective, burn) for burn in burns),
        "1m" if severity == "page" else "15m",
        objective.summary,
        Panel("framegate-slos", objective.panel),
    )


GROUP: Final = Group(
    "objectives",
    tuple(_recordings()),
    tuple(_alarm(objective, severity, burns) for objective in OBJECTIVES for severity, burns in _SEVERITIES),
)
