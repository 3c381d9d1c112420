"""Whether the engines keep up, and whether the GPU is used."""

from typing import Final

from infra.monitoring.expressions import buckets, busy, increase, mean, most, p, rate, total
from infra.monitoring.layout import Dashboard, Row, found
from infra.monitoring.panels import RED, YELLOW, Query, heatmap, lines, stat, table

from framegate.kernel.states import Stage
from framegate.observability import catalogue as c

_STAGE: Final = Stage.INFERENCE
_NO_GPU: Final = "no GPU here"
_RARE: Final = "nothing of the kind happens while all is well"

_ENGINE: Final = Row(
    "The engine",
    (
        lines(
            "One call of the engine",
            Query(p(0.5, c.ENGINE_SECONDS, "model", model="$model"), "p50 {{model}}"),
            Query(p(0.99, c.ENGINE_SECONDS, "model", model="$model"), "p99 {{model}}"),
        ),
        lines("Images that the engine looked at", rate(c.ENGINE_IMAGES, "model", model="$model")),
        lines(
            "Engines at work at once",
            busy(c.ENGINE_SECONDS, "model", model="$model"),
            more="How much of the engines' time was work: near the number of inference processes, all of them are full.",
        ),
        heatmap("Calls of the engine", buckets(c.ENGINE_SECONDS, model="$model"), width=12),
        lines(
            "Engine faults",
            Query(rate(c.ENGINE_FAULTS, "model", model="$model"), empty_ok=_RARE),
            width=12,
        ),
    ),
)

_BATCHES: Final = Row(
    "Batches",
    (
        lines(
            "How full batches are",
            Query(mean(c.BATCH_FILL, stage=_STAGE), "mean"),
            Query(p(0.5, c.BATCH_FILL, stage=_STAGE), "p50"),
            top=1,
        ),
        heatmap("Images in one batch", buckets(c.BATCH_IMAGES, stage=_STAGE)),
        lines(
            "p99 of the steps of inference",
            p(0.99, c.STEP_SECONDS, "step", stage=_STAGE),
        ),
    ),
)

_GPU: Final = Row(
    "GPU, beside what waits for it",
    (
        lines(
            "GPU utilization",
            Query(most(c.GPU_UTILIZATION, "instance", "gpu"), empty_ok=_NO_GPU),
            base=YELLOW,
            steps=((0.7, "green"), (0.85, RED)),
            top=1,
            more="Between 70 and 85 % the GPU earns its price and keeps a reserve.",
        ),
        lines("Frames that wait for inference", most(c.QUEUE_READY, "queue", queue="frame-prepared-.*")),
        lines(
            "How long they wait",
            Query(p(0.5, c.QUEUE_WAIT_SECONDS, stage=_STAGE), "p50"),
            Query(p(0.99, c.QUEUE_WAIT_SECONDS, stage=_STAGE), "p99"),
            steps=((1, YELLOW), (10, RED)),
        ),
        lines(
            "GPU memory",
            Query(most(c.GPU_MEMORY_USED, "instance", "gpu"), "used {{instance}} {{gpu}}", _NO_GPU),
            Query(most(c.GPU_MEMORY_TOTAL, "instance", "gpu"), "total {{instance}} {{gpu}}", _NO_GPU),
            width=6,
        ),
        lines(
            "GPU power",
            Query(most(c.GPU_POWER_WATTS, "instance", "gpu"), "drawn {{instance}} {{gpu}}", _NO_GPU),
            Query(most(c.GPU_POWER_LIMIT_WATTS, "instance", "gpu"), "limit {{instance}} {{gpu}}", _NO_GPU),
            width=6,
        ),
        lines(
            "GPU temperature",
            Query(most(c.GPU_TEMPERATURE, "instance", "gpu"), empty_ok=_NO_GPU),
            steps=((75, YELLOW), (85, RED)),
            width=6,
        ),
        lines(
            "GPU slowed down",
            Query(most(c.GPU_THROTTLED, "instance", "gpu", "cause"), empty_ok=_NO_GPU),
            top=1,
            width=6,
        ),
    ),
)

_MODELS: Final = Row(
    "What serves",
    (
        table(
            "Models that serve",
            total(c.MODEL_INFO, "role", "model", "engine"),
            columns={"role": "Role", "model": "Model", "engine": "Engine"},
            value="Processes",
            width=14,
        ),
        stat(
            "Workers ready",
            Query(most(c.WORKERS, stage=_STAGE, state="ready"), "ready"),
            base=RED,
            steps=((1, "green"),),
            width=5,
            height=8,
        ),
        stat(
            "Models that could not be loaded",
            Query(increase(c.MODEL_LOAD_FAILURES, window="$__range"), "failures"),
            steps=((1, RED),),
            width=5,
            height=8,
        ),
    ),
)

DASHBOARD: Final = Dashboard(
    "framegate-inference",
    "Framegate: inference and GPU",
    "Whether the engines keep up with the frames, how full their batches are, and whether the GPU is used well.",
    (_ENGINE, _BATCHES, _GPU, _MODELS),
    (found("model", "Model", c.MODEL_INFO),),
)
