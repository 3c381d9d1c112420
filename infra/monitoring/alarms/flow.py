"""Images on their way: stages that are down or stand still, what is lost, what cannot be handled."""

from typing import Final

from infra.monitoring.alarm import Alarm, Group, Panel, Recording, happened

from framegate.pipeline import PIPELINE, queues_of

_BOARD: Final = "framegate-pipeline"

#: Age of the oldest message, with the stage that consumes the queue. Every sweeper tells of all queues: the largest counts.
_OLDEST: Final = "\nor\n".join(
    "label_replace(max by (queue) (framegate_queue_oldest_seconds"
    f'{{queue=~"{"|".join(queues_of(step.stage))}"}}), "stage", "{step.stage}", "", "")'
    for step in PIPELINE
    if step.consumes
)
#: Nobody of the stage is ready, by the word of its workers; or its processes are no longer scraped, though they were within
#: a day: what a box never had is not missed.
_DOWN: Final = """count by (stage) (
  max by (stage) (framegate_workers{state="ready"}) == 0
  or
  max by (stage) (last_over_time(framegate_build_info[1d])) unless on (stage) max by (stage) (framegate_build_info)
)"""
_SETTLED: Final = "sum by (stage) (rate(framegate_images_settled_total[3m]))"
#: Messages that a worker could take wait all the time; one that waits for its next attempt is nobody's fault.
_READY: Final = "on (queue) max by (queue) (min_over_time(framegate_queue_ready_messages[2m])) > 0"

STAGE_DOWN: Final = Alarm(
    "FramegateStageDown", "page",
    # Stages with a queue may be scaled to zero: they are missed only while something waits for them.
    """framegate:stage_down:count{stage=~"ingest|gate|alerts|sweep"}
or
framegate:stage_down:count{stage=~"preprocess|inference"}
  and on (stage) max by (stage) (framegate:queue_oldest_seconds:max) > 0""",
    "2m", "No process of {{ $labels.stage }} is ready", Panel(_BOARD, "Workers ready"),
)  # fmt: skip
STAGE_STALLED: Final = Alarm(
    "FramegateStageStalled", "page",
    # `unless`, not `== 0`: a counter that was never written does not exist.
    f"""framegate:queue_oldest_seconds:max > seconds(2m)
and deriv(framegate:queue_oldest_seconds:max[3m]) > 0
and {_READY}
unless on (stage) {_SETTLED} > 0""",
    "2m",
    "{{ $labels.stage }} has settled nothing for minutes, and the oldest message in {{ $labels.queue }} has waited for "
    "{{ $value | humanizeDuration }}",
    Panel(_BOARD, "Age of the oldest message"),
)  # fmt: skip
QUEUE_BEHIND: Final = Alarm(
    "FramegateQueueBehind", "ticket",
    f"""(framegate:queue_oldest_seconds:max{{queue=~".+-live"}} > seconds(5m)
  or framegate:queue_oldest_seconds:max{{queue=~".+-bulk"}} > seconds(6h))
and {_READY}
and on (stage) {_SETTLED} > 0""",
    "15m",
    "{{ $labels.stage }} works, but falls behind: the oldest message in {{ $labels.queue }} has waited for "
    "{{ $value | humanizeDuration }}",
    Panel(_BOARD, "Age of the oldest message"),
)  # fmt: skip
REQUESTS_FAILING: Final = Alarm(
    "FramegateRequestsFailing", "ticket",
    # A bug, however rarely it is met. What is 503 has alarms of its own, and uploads an objective besides.
    happened('framegate_http_responses_total{status="500"}', "15m", "route"), "0s",
    '{{ printf "%.0f" $value }} requests to {{ $labels.route }} failed by a bug within 15 minutes', Panel(_BOARD, "Answers"),
)  # fmt: skip
BREAKER_OPEN: Final = Alarm(
    "FramegateBreakerOpen", "page",
    "sum by (stage) (framegate_breaker_open) > 0 and on (stage) min by (stage) (framegate_breaker_open) == 1", "3m",
    "All {{ $value }} processes of {{ $labels.stage }} have stopped receiving",
    Panel(_BOARD, "Breakers open"),
)  # fmt: skip
IMAGES_MISSING: Final = Alarm(
    "FramegateImagesMissing", "page", 'max(framegate_images{end="lost"}) > 0', "0s",
    "{{ $value }} accepted images have neither an outcome nor progress", Panel(_BOARD, "Conservation of images"),
)  # fmt: skip
IMAGES_FAILING: Final = Alarm(
    "FramegateImagesFailing", "ticket", happened('framegate_outcomes_total{state="failed"}', "15m"), "0s",
    '{{ printf "%.0f" $value }} images ended as failed, through our fault, within 15 minutes',
    Panel(_BOARD, "Images by outcome"),
)  # fmt: skip
MANY_IMAGES_FAIL: Final = Alarm(
    "FramegateImagesFailing", "page",
    """sum(increase(framegate_outcomes_total{state="failed"}[15m])) >= 10
and sum(increase(framegate_outcomes_total{state="failed"}[15m])) > 0.01 * sum(increase(framegate_outcomes_total[15m]))""",
    "1m", '{{ printf "%.0f" $value }} images ended as failed, through our fault, within 15 minutes: more than 1 %',
    Panel(_BOARD, "Images by outcome"),
)  # fmt: skip
DEAD_LETTERS: Final = Alarm(
    "FramegateDeadLetters", "ticket", "max by (queue) (framegate_dead_letters_waiting) > 0", "1m",
    "{{ $value }} dead letters of {{ $labels.queue }} wait for somebody", Panel(_BOARD, "Dead letters"),
)  # fmt: skip
ATTEMPTS_FAILING: Final = Alarm(
    "FramegateAttemptsFailing", "ticket",
    """(sum by (stage) (increase(framegate_attempts_ended_total{ending=~"error|crash"}[15m])) >= 10)
/ sum by (stage) (increase(framegate_messages_received_total[15m])) > 0.05""",
    "5m", "{{ $value | humanizePercentage }} of what {{ $labels.stage }} receives fails: errors and crashes",
    Panel(_BOARD, "Attempts that ended without a result"),
)  # fmt: skip
MESSAGES_LOST: Final = Alarm(
    "FramegateMessagesLost", "ticket",
    """sum(increase(framegate_images_reissued_total[1h])) >= 20
and sum(increase(framegate_images_reissued_total[1h])) > 0.01 * sum(increase(framegate_images_accepted_total[1h]))""",
    "10m", 'The messages of {{ printf "%.0f" $value }} images had to be sent again within an hour',
    Panel(_BOARD, "Images sent again"),
)  # fmt: skip

GROUP: Final = Group(
    "flow",
    (
        Recording("framegate:queue_oldest_seconds:max", _OLDEST),
        Recording("framegate:stage_down:count", _DOWN),
    ),
    (
        STAGE_DOWN, STAGE_STALLED, QUEUE_BEHIND, REQUESTS_FAILING, BREAKER_OPEN, IMAGES_MISSING, IMAGES_FAILING,
        MANY_IMAGES_FAIL, DEAD_LETTERS, ATTEMPTS_FAILING, MESSAGES_LOST,
    ),
)  # fmt: skip
