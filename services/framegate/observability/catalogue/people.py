"""What reaches people, and what they decide."""

from typing import Final

from framegate.observability.catalogue.metric import SECONDS, Metric

INCIDENT_CHANGES: Final = Metric(
    "framegate_incident_changes_total", "counter", "changes", ("change",),
    "changes of incidents that receivers are told of",
    "incident.escalated rising: nobody acknowledges; framegate incidents list",
)  # fmt: skip
ALERTS_GROUPED: Final = Metric(
    "framegate_alerts_grouped_total", "counter", "alerts", (),
    "alerts taken into incidents, new and old",
    "many for few changes is the purpose of incidents; 0 while images fail: the alerts stage is down",
)  # fmt: skip
HOOK_ATTEMPTS: Final = Metric(
    "framegate_hook_attempts_total", "counter", "attempts", ("kind", "reason"),
    "attempts to deliver a message, by how they ended",
    "anything but delivered: framegate hooks log ENDPOINT says what the receiver did",
)  # fmt: skip
HOOK_SECONDS: Final = Metric(
    "framegate_hook_seconds", "histogram", "seconds", ("kind",),
    "time of one attempt, from the name's resolution to the answer",
    "above 1 s: that receiver is slow; it delays only itself",
    SECONDS,
)  # fmt: skip
FIRST_ATTEMPT_SECONDS: Final = Metric(
    "framegate_alert_first_attempt_seconds", "histogram", "seconds", (),
    "time from what happened to the first attempt to tell of it",
    "above 1 s: the alerts stage is down or its database slow, or an endpoint has more than its slots can deliver",
    SECONDS,
)  # fmt: skip
HOOK_DEAD: Final = Metric(
    "framegate_hook_dead_total", "counter", "deliveries", ("kind",),
    "deliveries that were given up",
    "framegate hooks dead names them; framegate hooks replay sends them again once the receiver is well",
)  # fmt: skip
HOOK_WAITING: Final = Metric(
    "framegate_hook_waiting", "gauge", "deliveries", (),
    "deliveries that are due and not in anybody's hands, or are being made",
    "rising: receivers are slow or the alerts stage is down",
)  # fmt: skip
HOOK_OLDEST_SECONDS: Final = Metric(
    "framegate_hook_oldest_seconds", "gauge", "seconds", (),
    "for how long the oldest delivery has been due",
    "rising for minutes: the alerts stage is down, or one endpoint is slow (framegate hooks list)",
)  # fmt: skip
REVIEW_ITEMS_OPEN: Final = Metric(
    "framegate_review_items_open", "gauge", "images", (),
    "images that wait for people",
    "rising: more reviewers, or fewer doubts (docs/policy.md, from too many reviews to a new version)",
)  # fmt: skip
REVIEW_OLDEST_SECONDS: Final = Metric(
    "framegate_review_oldest_seconds", "gauge", "seconds", (),
    "for how long the oldest of them has waited",
    "rising while people decide: one is skipped by everybody; framegate reviews list names it",
)  # fmt: skip
REVIEW_DECISIONS: Final = Metric(
    "framegate_review_decisions_total", "counter", "decisions", ("decision",),
    "decisions of people, by what they say; refused ones too",
    "refused rising: two people on one key, or pages that do not show what they send",
)  # fmt: skip
ESCAPE_RATIO: Final = Metric(
    "framegate_review_escape_ratio", "gauge", "ratio", ("model",),
    "share of the model's passes of the last 30 days that people called fail, of those they checked blindly; absent while "
    "these are fewer than 60",
    "framegate reviews stats names camera and class; framegate calibrate lowers thresholds with what people failed",
)  # fmt: skip
ESCAPE_LOW_RATIO: Final = Metric(
    "framegate_review_escape_low_ratio", "gauge", "ratio", ("model",),
    "lower end of its exact 95 % interval: at least so many defects pass",
    "above what you can bear: as framegate_review_escape_ratio",
)  # fmt: skip
ESCAPE_HIGH_RATIO: Final = Metric(
    "framegate_review_escape_high_ratio", "gauge", "ratio", ("model",),
    "upper end of the same interval: at most so many defects pass, as far as the checks can tell",
    "above what you can bear while the lower end is not: too few passes were checked; raise FRAMEGATE_REVIEWS__SAMPLE",
)  # fmt: skip
AUDIT_UNSEALED_SECONDS: Final = Metric(
    "framegate_audit_unsealed_seconds", "gauge", "seconds", (),
    "for how long the oldest entry of the audit has waited for its seal",
    "above a minute: the sweep stage is down or a transaction stays open; until then the newest entries prove nothing",
)  # fmt: skip
