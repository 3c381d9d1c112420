"""What the models find, whether that changes, and what is made of it."""

from dataclasses import replace
from typing import Final

from infra.monitoring.expressions import buckets, increase, mean, most, p, rate, total
from infra.monitoring.layout import Dashboard, Row, found
from infra.monitoring.panels import RED, YELLOW, Query, bars, heatmap, lines, stat, table

from framegate.observability import catalogue as c

_RARE: Final = "nothing of the kind happens while all is well"

_FOUND: Final = Row(
    "What is found",
    (
        lines(
            "Confidence: p50 of each class", p(0.5, c.CONFIDENCE, "class", model="$model", **{"class": "$class"}), top=1
        ),
        bars("Classes found", increase(c.CONFIDENCE, "class", window="$__range", model="$model")),
        lines("Boxes in one image", mean(c.DETECTIONS_PER_IMAGE, "model", model="$model")),
    ),
)

_DECIDED: Final = Row(
    "What is decided",
    (
        lines("Verdicts", rate(c.OUTCOMES, "verdict", state="decided"), stacked="percent"),
        lines("Reasons", rate(c.VERDICT_REASONS, "reason"), stacked="percent"),
        lines("How images end", rate(c.OUTCOMES, "state"), stacked="percent"),
        lines("Second looks", Query(rate(c.SECOND_LOOKS, "result"), empty_ok="the policy asks for no second look")),
        lines("Share looked at again", Query(most(c.SECOND_LOOK_SHARE, "instance"))),
    ),
)

_NO_CHAIN: Final = "no chain is deployed"
_NO_SHADOW: Final = "no shadow is deployed"

_DRIFT: Final = Row(
    "Drift",
    (
        lines(
            "Scores",
            Query(
                most(c.DRIFT_SCORE, "subject_kind", "subject", "feature"),
                empty_ok="no reference has been frozen yet: that takes more images",
            ),
            steps=((0.1, YELLOW), (0.25, RED)),
            width=12,
        ),
        stat(
            "Findings of drift",
            Query(most(c.DRIFT_FINDINGS, "subject_kind", "feature"), empty_ok="no drift while all is well"),
            steps=((1, RED),),
            width=6,
            height=8,
            no_value="none",
        ),
        lines("Images taken in", Query(rate(c.DRIFT_IMAGES), "images"), width=6),
    ),
)

_DEPLOYED: Final = Row(
    "What serves, beside what might",
    (
        table(
            "Models that serve",
            total(c.MODEL_INFO, "role", "model", "engine"),
            columns={"role": "Role", "model": "Model", "engine": "Engine"},
            value="Processes",
            width=8,
        ),
        lines("Shadow", Query(rate(c.SHADOW_IMAGES, "result"), empty_ok=_NO_SHADOW), width=4),
        lines("Chains", Query(rate(c.CHAIN_IMAGES, "result"), empty_ok=_NO_CHAIN), width=4),
        stat(
            "Canaries taken back",
            Query(increase(c.CANARY_ROLLBACKS, window="$__range"), "canaries"),
            steps=((1, YELLOW),),
            height=8,
        ),
        stat(
            "Models that could not be loaded",
            Query(increase(c.MODEL_LOAD_FAILURES, window="$__range"), "failures"),
            steps=((1, RED),),
            height=8,
        ),
    ),
)

_CONFIDENCE: Final = Row(
    "Confidence of each class",
    (
        replace(
            heatmap("$class", buckets(c.CONFIDENCE, model="$model", **{"class": "$class"})),
            repeat="class",
        ),
    ),
)

DASHBOARD: Final = Dashboard(
    "framegate-models",
    "Framegate: model health and drift",
    "Whether the models still see what they saw, what the gate makes of it, and how a canary or a shadow does.",
    (_FOUND, _DECIDED, _DRIFT, _DEPLOYED, _CONFIDENCE),
    (found("model", "Model", c.MODEL_INFO), found("class", "Class", c.CONFIDENCE, "_count")),
)
