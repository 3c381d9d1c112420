"""What is wrong now, and then the way of the images, stage by stage."""

from typing import Final

from infra.monitoring.expressions import firing, increase, least, mean, most, p, rate, starts, total
from infra.monitoring.layout import RUNBOOK, Dashboard, Row, chosen
from infra.monitoring.panels import RED, YELLOW, Panel, Query, lines, stat, table

from framegate.kernel.states import Stage
from framegate.observability import catalogue as c

_RARE: Final = "nothing of the kind happens while all is well"


def _wrong() -> Row:
    any_is_bad = ((1.0, RED),)
    alarms = table(
        "Alarms that fire now",
        Query(firing(), empty_ok="no alarm fires while all is well"),
        columns={"alertname": "Alarm", "severity": "Severity", "runbook": "What to do"},
        value="For",
        lower="runbook",
        link=("What to do", "Runbook", f"{RUNBOOK}#${{__value.raw}}"),
        width=14,
        no_value="No alarm fires",
    )
    return Row(
        "What is wrong now",
        (
            alarms,
            stat(
                "Workers ready",
                most(c.WORKERS, "stage", state="ready"),
                base=RED,
                steps=((1.0, "green"),),
                width=10,
                height=8,
            ),
            stat("Images lost", Query(most(c.IMAGES_BY_END, end="lost"), "lost"), steps=any_is_bad),
            stat("Images in flight", Query(most(c.IMAGES_BY_END, end="in_flight"), "in flight")),
            stat(
                "Oldest live message",
                Query(most(c.QUEUE_OLDEST_SECONDS, queue=".*-live"), "oldest"),
                steps=((10, YELLOW), (60, RED)),
            ),
            stat("Breakers open", most(c.BREAKER_OPEN, "stage"), steps=any_is_bad, width=6),
            stat("Dead letters", most(c.DEAD_LETTERS_WAITING, "queue"), steps=any_is_bad, width=6),
        ),
    )


def _flow() -> Row:
    return Row(
        "The flow",
        (
            lines(
                "Images by outcome",
                Query(rate(c.IMAGES_ACCEPTED), "accepted"),
                Query(rate(c.OUTCOMES, "state"), "{{state}}"),
            ),
            lines(
                "From upload to outcome",
                Query(p(0.5, c.VERDICT_SECONDS, "lane"), "p50 {{lane}}"),
                Query(p(0.99, c.VERDICT_SECONDS, "lane"), "p99 {{lane}}"),
            ),
            lines("Conservation of images", most(c.IMAGES_BY_END, "end"), log=True),
            lines("Messages that wait", most(c.QUEUE_READY, "queue"), width=6),
            lines("Age of the oldest message", most(c.QUEUE_OLDEST_SECONDS, "queue"), width=6),
            lines("Messages in workers' hands", most(c.QUEUE_IN_FLIGHT, "queue"), width=6),
            lines("Messages that wait for their next attempt", most(c.QUEUE_DELAYED, "queue"), width=6),
            lines("Stages side by side: images done", rate(c.IMAGES_SETTLED, "stage", stage="$stage"), width=6),
            lines(
                "Stages side by side: p99 of the wait", p(0.99, c.QUEUE_WAIT_SECONDS, "stage", stage="$stage"), width=6
            ),
            lines("Workers", most(c.WORKERS, "stage", "state", stage="$stage"), width=6),
            lines(
                "Attempts that ended without a result",
                Query(rate(c.ATTEMPTS_ENDED, "stage", "ending", stage="$stage"), empty_ok=_RARE),
                width=6,
            ),
        ),
    )


def _ingest() -> Row:
    return Row(
        "Ingest",
        (
            lines("Accepted", rate(c.IMAGES_ACCEPTED, "lane"), width=6),
            lines("Refused", rate(c.IMAGES_REFUSED, "reason"), width=6),
            lines("Needed no inspection of their own", rate(c.IMAGES_REUSED, "kind"), width=6),
            lines(
                "Time to the 202",
                Query(p(0.5, c.ACCEPT_SECONDS), "p50"),
                Query(p(0.99, c.ACCEPT_SECONDS), "p99"),
                steps=((0.3, RED),),
                width=6,
            ),
            lines(
                "Size of originals",
                Query(p(0.5, c.UPLOAD_BYTES), "p50"),
                Query(p(0.99, c.UPLOAD_BYTES), "p99"),
                width=6,
            ),
            lines("Answers", rate(c.HTTP_RESPONSES, "status"), width=6),
            lines("p99 of answers", p(0.99, c.HTTP_SECONDS, "area"), width=6),
            lines("Pages that listen", Query(total(c.LIVE_VIEWERS), "pages"), width=6),
            lines(
                "Events of the bucket",
                Query(rate(c.BUCKET_EVENTS, "result"), empty_ok="no upload went past the API into a bucket"),
                width=12,
            ),
            lines(
                "Dead letters of the bucket's events",
                Query(rate(c.DEAD_LETTERS, "cause", stage=Stage.INGEST), empty_ok=_RARE),
                width=12,
            ),
        ),
    )


def _worker(stage: Stage) -> Row:
    """What every stage that consumes messages has in common."""
    wait, work = c.QUEUE_WAIT_SECONDS, c.STAGE_SECONDS
    panels: tuple[Panel, ...] = (
        lines("Arrivals", Query(rate(c.MESSAGES_RECEIVED, stage=stage), "messages"), width=6),
        lines(
            "Wait",
            Query(p(0.5, wait, stage=stage), "p50"),
            Query(p(0.99, wait, stage=stage), "p99"),
            steps=((1, YELLOW), (10, RED)),
            width=6,
        ),
        lines(
            "Work on one batch",
            Query(p(0.5, work, stage=stage), "p50"),
            Query(p(0.99, work, stage=stage), "p99"),
            width=6,
        ),
        lines("p99 of the steps", p(0.99, c.STEP_SECONDS, "step", stage=stage), width=6),
        lines("Images done", Query(rate(c.IMAGES_SETTLED, stage=stage), "images"), width=6),
        lines("Images in one batch", Query(mean(c.BATCH_IMAGES, stage=stage), "mean"), width=6),
        lines("In the hands of each process", total(c.IN_FLIGHT, "instance", stage=stage), width=6),
        lines(
            "Receives of one message",
            Query(mean(c.MESSAGE_RECEIVES, stage=stage), "mean"),
            Query(p(0.99, c.MESSAGE_RECEIVES, stage=stage), "p99"),
            width=6,
        ),
        lines(
            "Attempts without a result",
            Query(rate(c.ATTEMPTS_ENDED, "ending", stage=stage), empty_ok=_RARE),
            width=6,
        ),
        lines("Repeated or overtaken", Query(rate(c.MESSAGES_STALE, stage=stage), "stale", _RARE), width=6),
        lines("Results thrown away", Query(rate(c.CLAIMS_LOST, stage=stage), "lost claims", _RARE), width=6),
        lines("Taken out of the queue", Query(rate(c.DEAD_LETTERS, "cause", stage=stage), empty_ok=_RARE), width=6),
    )
    return Row(stage.capitalize(), panels)


def _alerts() -> Row:
    return Row(
        "Alerts",
        (
            lines("Alerts taken into incidents", Query(rate(c.ALERTS_GROUPED), "alerts"), width=6),
            lines("Changes of incidents", rate(c.INCIDENT_CHANGES, "change"), width=6),
            lines("Deliveries that wait", Query(most(c.HOOK_WAITING), "deliveries"), width=6),
            lines(
                "To the first attempt",
                Query(p(0.5, c.FIRST_ATTEMPT_SECONDS), "p50"),
                Query(p(0.99, c.FIRST_ATTEMPT_SECONDS), "p99"),
                steps=((1, RED),),
                width=6,
            ),
        ),
    )


def _sweep() -> Row:
    return Row(
        "Sweep",
        (
            lines("Images sent again", Query(rate(c.IMAGES_REISSUED, "state"), empty_ok=_RARE), width=6),
            lines("Sent for processes that could not", Query(rate(c.MESSAGES_RELAYED), "messages"), width=6),
            lines("Housekeeping that failed", Query(rate(c.HOUSEKEEPING_FAILURES, "work"), empty_ok=_RARE), width=6),
            lines(
                "Audit without a seal",
                Query(most(c.AUDIT_UNSEALED_SECONDS), "oldest entry"),
                steps=((60, RED),),
                width=6,
            ),
            lines("Left-over files deleted", Query(rate(c.BLOBS_SWEPT, "prefix"))),
            lines("Parts erased", Query(rate(c.PARTS_ERASED, "part"), empty_ok="nothing is old enough yet")),
            lines(
                "Retention overdue",
                Query(most(c.RETENTION_OVERDUE_SECONDS), "oldest"),
                steps=((86400, RED),),
            ),
        ),
    )


def _dependencies() -> Row:
    return Row(
        "What the processes depend on",
        (
            lines(
                "Dependencies: time of a call",
                Query(p(0.5, c.DEPENDENCY_SECONDS, "dependency"), "p50 {{dependency}}"),
                Query(p(0.99, c.DEPENDENCY_SECONDS, "dependency"), "p99 {{dependency}}"),
                width=12,
            ),
            lines(
                "Dependencies: errors",
                Query(rate(c.DEPENDENCY_ERRORS, "dependency", "operation"), empty_ok=_RARE),
                width=12,
            ),
            lines(
                "p99 of each call to the database",
                p(0.99, c.DEPENDENCY_SECONDS, "operation", dependency="database"),
                width=12,
            ),
            lines("Connections to the database", total(c.DATABASE_CONNECTIONS, "state"), width=6),
            lines("Bytes of the blob store", rate(c.BLOB_BYTES, "operation"), width=6),
        ),
    )


def _hosts() -> Row:
    free = least(c.DISK_FREE, "instance", "volume") / least(c.DISK_SIZE, "instance", "volume")
    return Row(
        "Hosts and processes",
        (
            lines("CPU in use", most(c.CPU_RATIO, "instance"), top=1, steps=((0.9, RED),), width=6),
            lines("Memory available", least(c.HOST_MEMORY_AVAILABLE, "instance"), width=6),
            lines("Free disk space", free, top=1, base=RED, steps=((0.1, YELLOW), (0.2, "green")), width=6),
            lines("Lines logged", rate(c.LOG_LINES, "level"), width=6),
            lines("Processes that answer", total(c.BUILD_INFO, "stage"), width=6),
            lines(
                "Starts of processes",
                Query(increase(c.PROCESS_STARTS, "process", window="15m"), empty_ok="no box"),
                starts(c.PROCESS_START, "instance", window="15m"),
                width=6,
            ),
            lines("Spans", Query(rate(c.SPANS, "result"), empty_ok="traces are not switched on"), width=6),
            table(
                "What runs",
                total(c.BUILD_INFO, "stage", "version", "python"),
                columns={"stage": "Stage", "version": "Framegate", "python": "Python"},
                value="Processes",
                width=6,
            ),
        ),
    )


_STAGES: Final = {
    Stage.INGEST: _ingest,
    Stage.ALERTS: _alerts,
    Stage.SWEEP: _sweep,
}

DASHBOARD: Final = Dashboard(
    "framegate-pipeline",
    "Framegate: pipeline",
    "What is wrong now, and then the way of the images in the order of the flow. Start here.",
    (
        _wrong(),
        _flow(),
        *(_STAGES[stage]() if stage in _STAGES else _worker(stage) for stage in Stage),
        _dependencies(),
        _hosts(),
    ),
    (chosen("stage", "Stage", tuple(Stage)),),
)
