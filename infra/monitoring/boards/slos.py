"""What was promised, how much of the error budget is left, and how fast it is spent."""

from typing import Final

from infra.monitoring.expressions import Expression, buckets, p, rate, recorded
from infra.monitoring.layout import Dashboard, Row
from infra.monitoring.objectives import (
    ACCEPT_LATENCY,
    OBJECTIVES,
    OURS,
    PAGE,
    QUEUE_WAIT,
    TICKET,
    UPLOAD_ERRORS,
    VERDICT,
    Objective,
)
from infra.monitoring.panels import GREEN, RED, YELLOW, Panel, Query, heatmap, lines, stat

from framegate.observability import catalogue as c

_BUDGET: Final = "30d"
_NOTE: Final = (
    "The error budget is the share of events that may be bad, {allowed:.0%} within 30 days.\n\n**What to do:** the alarm "
    "`{alarm}` says when it is spent too fast, its section of the runbook what helps."
)


def _note(objective: Objective) -> str:
    return _NOTE.format(allowed=1 - objective.target, alarm=objective.alarm)


def _left(objective: Objective) -> Expression:
    """1 is a whole budget, 0 none, below 0 a promise that was broken."""
    bad, every = (
        recorded(f"framegate:slo_{which}:rate5m", "events", over=_BUDGET, slo=objective.slo) for which in ("bad", "all")
    )
    text = f"1 - {bad.text} / {every.text} / {1 - objective.target:.3g}"
    return Expression(text, "ratio", note=_note(objective))


def _burning(objective: Objective, window: str) -> Query:
    by = ("stage",) if objective is QUEUE_WAIT else ()
    share = recorded(f"framegate:slo_bad:ratio{window}", "ratio", *by, slo=objective.slo)
    burn = Expression(f"{share.text} / {1 - objective.target:.3g}", "times as fast", by, note=_note(objective))
    return Query(burn, " ".join([window, *(f"{{{{{label}}}}}" for label in by)]))


def _row(objective: Objective, panel: Panel) -> Row:
    windows = dict.fromkeys(window for burn in (*PAGE, *TICKET) for window in (burn.short, burn.long))
    left = stat(
        f"Error budget left: {objective.slo}",
        Query(_left(objective), "left", instant=True),
        base=RED,
        steps=((0, YELLOW), (0.25, GREEN)),
        height=8,
    )
    burns = lines(
        objective.panel,
        *(_burning(objective, window) for window in windows),
        steps=((1, YELLOW), (PAGE[0].factor, RED)),
        width=10,
        more="How fast the error budget is spent. Once as fast as it may be, it lasts 30 days; 14 times as fast, two days.",
    )
    return Row(f"{objective.slo}: {objective.target:.0%}", (left, burns, panel))


def _refusals() -> Panel:
    refused = rate(c.IMAGES_REFUSED, "reason", reason="|".join(OURS))
    empty = "no upload is refused through our fault while all is well"
    return lines("Uploads refused through our fault", Query(refused, empty_ok=empty), width=10)


def _bad_now(objective: Objective) -> Query:
    share = recorded("framegate:slo_bad:ratio5m", "ratio", note=_note(objective), slo=objective.slo)
    return Query(share, objective.slo)


_ALL: Final = Row(
    "All objectives",
    (
        lines("Bad events of the last five minutes", *(_bad_now(objective) for objective in OBJECTIVES), width=12),
        lines(
            "p99 of the promised times",
            Query(p(0.99, c.ACCEPT_SECONDS), "to the 202"),
            Query(p(0.99, c.QUEUE_WAIT_SECONDS, "stage"), "wait for {{stage}}"),
            Query(p(0.99, c.VERDICT_SECONDS, lane="live"), "to the outcome, live"),
            width=12,
        ),
    ),
)

DASHBOARD: Final = Dashboard(
    "framegate-slos",
    "Framegate: objectives",
    "What was promised, how much of the error budget is left, and how fast it is spent. Points on heatmaps lead to traces.",
    (
        _ALL,
        _row(ACCEPT_LATENCY, heatmap("Time to the 202", buckets(c.ACCEPT_SECONDS), width=10)),
        _row(UPLOAD_ERRORS, _refusals()),
        _row(QUEUE_WAIT, heatmap("Wait for a worker", buckets(c.QUEUE_WAIT_SECONDS), width=10)),
        _row(VERDICT, heatmap("Time to the outcome", buckets(c.VERDICT_SECONDS, lane="live"), width=10)),
    ),
)
