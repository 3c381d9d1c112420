"""What reaches people, and what waits for them."""

from typing import Final

from infra.monitoring.alarms.people import MAY_PASS
from infra.monitoring.expressions import buckets, increase, most, p, rate
from infra.monitoring.layout import Dashboard, Row
from infra.monitoring.panels import RED, YELLOW, Query, bars, heatmap, lines, stat

from framegate.observability import catalogue as c

_UNCHECKED: Final = "nobody has checked a pass blindly"

_INCIDENTS: Final = Row(
    "Incidents",
    (
        lines("Changes of incidents", rate(c.INCIDENT_CHANGES, "change"), width=12),
        bars("Changes of incidents, altogether", increase(c.INCIDENT_CHANGES, "change", window="$__range"), width=6),
        lines("Alerts taken into incidents", Query(rate(c.ALERTS_GROUPED), "alerts"), width=6),
    ),
)

_HOOKS: Final = Row(
    "Receivers",
    (
        stat("Deliveries that wait", Query(most(c.HOOK_WAITING), "deliveries"), steps=((100, YELLOW), (1000, RED))),
        stat(
            "Oldest delivery",
            Query(most(c.HOOK_OLDEST_SECONDS), "oldest"),
            steps=((5, YELLOW), (60, RED)),
        ),
        stat(
            "Deliveries given up",
            Query(
                increase(c.HOOK_DEAD, "kind", window="$__range"),
                empty_ok="no delivery is given up while receivers are well",
            ),
            steps=((1, RED),),
            no_value="none",
        ),
        lines(
            "To the first attempt",
            Query(p(0.5, c.FIRST_ATTEMPT_SECONDS), "p50"),
            Query(p(0.99, c.FIRST_ATTEMPT_SECONDS), "p99"),
            steps=((1, RED),),
            width=12,
            height=4,
        ),
        lines("Attempts to deliver", rate(c.HOOK_ATTEMPTS, "kind", "reason")),
        lines(
            "One attempt",
            Query(p(0.5, c.HOOK_SECONDS, "kind"), "p50 {{kind}}"),
            Query(p(0.99, c.HOOK_SECONDS, "kind"), "p99 {{kind}}"),
        ),
        heatmap("To the first attempt", buckets(c.FIRST_ATTEMPT_SECONDS)),
    ),
)

_REVIEWS: Final = Row(
    "The review desk",
    (
        stat("Images that wait for people", Query(most(c.REVIEW_ITEMS_OPEN), "images"), width=4, height=8),
        stat(
            "Oldest review",
            Query(most(c.REVIEW_OLDEST_SECONDS), "oldest"),
            steps=((3600, YELLOW), (28800, RED)),
            height=8,
        ),
        lines("Images that wait", Query(most(c.REVIEW_ITEMS_OPEN), "images")),
        lines("Decisions of people", rate(c.REVIEW_DECISIONS, "decision")),
        lines("Reasons that fill the desk", rate(c.VERDICT_REASONS, "reason"), width=12),
        lines(
            "Passes that people call fail",
            Query(most(c.ESCAPE_RATIO, "model"), "{{model}}", empty_ok=_UNCHECKED),
            Query(most(c.ESCAPE_LOW_RATIO, "model"), "{{model}}, at least", empty_ok=_UNCHECKED),
            Query(most(c.ESCAPE_HIGH_RATIO, "model"), "{{model}}, at most", empty_ok=_UNCHECKED),
            steps=((MAY_PASS, RED),),
            width=12,
        ),
    ),
)

_AUDIT: Final = Row(
    "What is kept",
    (
        lines(
            "Audit without a seal",
            Query(most(c.AUDIT_UNSEALED_SECONDS), "oldest entry"),
            steps=((60, RED),),
            width=24,
        ),
    ),
)

DASHBOARD: Final = Dashboard(
    "framegate-people",
    "Framegate: alerts and reviews",
    "Whether people hear of what fails, in time, and whether they keep up with what is left to them.",
    (_INCIDENTS, _HOOKS, _REVIEWS, _AUDIT),
)
