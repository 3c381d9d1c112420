"""The way of images through queues and stages."""

from typing import Final

from framegate.observability.catalogue.metric import RATIOS, RECEIVES, SECONDS, SIZES, Metric

VERDICT_SECONDS: Final = Metric(
    "framegate_accept_to_verdict_seconds", "histogram", "seconds", ("lane",),
    "time from the recorded upload to the recorded outcome",
    "find the stage with the longest framegate_queue_wait_seconds and give it more workers",
    SECONDS,
)  # fmt: skip
QUEUE_WAIT_SECONDS: Final = Metric(
    "framegate_queue_wait_seconds", "histogram", "seconds", ("stage",),
    "time a message waited before a worker claimed it",
    "above 1 s: the stage needs more workers",
    SECONDS,
)  # fmt: skip
STAGE_SECONDS: Final = Metric(
    "framegate_stage_seconds", "histogram", "seconds", ("stage",),
    "time a stage worked on one batch",
    "a step upwards after a deployment: compare with framegate bench",
    SECONDS,
)  # fmt: skip
STEP_SECONDS: Final = Metric(
    "framegate_step_seconds", "histogram", "seconds", ("stage", "step"),
    "time of one step of the worker's loop, whether it succeeds or not: receive (one call, waiting included), claim, "
    "load (one image), handle (one batch), settle (one round)",
    "the step that grew says what to look at: claim and settle are the database, load is the blob store, handle is "
    "the work itself",
    SECONDS,
)  # fmt: skip
IMAGES_SETTLED: Final = Metric(
    "framegate_images_settled_total", "counter", "images", ("stage",),
    "images that the stage completed, durably",
    "0 while messages wait: the stage is down, hangs or its breaker is open",
)  # fmt: skip
BATCH_IMAGES: Final = Metric(
    "framegate_batch_images", "histogram", "images", ("stage",),
    "images handled together",
    "inference always at 1 under load: its fetch is too slow; look at blobs and Postgres",
    SIZES,
)  # fmt: skip
BATCH_FILL: Final = Metric(
    "framegate_batch_fill_ratio", "histogram", "ratio", ("stage",),
    "images of a batch, as a share of the most that the stage handles together",
    "inference low under a backlog: it waits for frames; look at framegate_step_seconds of load and at blobs",
    RATIOS,
)  # fmt: skip
MESSAGES_RECEIVED: Final = Metric(
    "framegate_messages_received_total", "counter", "messages", ("stage",),
    "messages brought by receive",
    "0 under load: the queue",
)  # fmt: skip
MESSAGE_RECEIVES: Final = Metric(
    "framegate_message_receives", "histogram", "receives", ("stage",),
    "how often a message had been received when it was claimed, this time included",
    "above 1 often: leases end too early, workers die, or attempts fail",
    RECEIVES,
)  # fmt: skip
MESSAGES_STALE: Final = Metric(
    "framegate_messages_stale_total", "counter", "messages", ("stage",),
    "repeated or overtaken messages, acknowledged without work",
    "a few are normal; many: leases end too early or the sweeper is too eager",
)  # fmt: skip
ATTEMPTS_ENDED: Final = Metric(
    "framegate_attempts_ended_total", "counter", "attempts", ("stage", "ending"),
    "attempts that ended without a result",
    "error or crash rising: framegate dead-letters list, then the history of one image",
)  # fmt: skip
CLAIMS_LOST: Final = Metric(
    "framegate_claims_lost_total", "counter", "results", ("stage",),
    "results thrown away because another worker took over",
    "rising: work takes longer than its lease, or the host stalls",
)  # fmt: skip
DEAD_LETTERS: Final = Metric(
    "framegate_dead_letters_total", "counter", "messages", ("stage", "cause"),
    "messages taken out of their queue",
    "framegate dead-letters show ID, correct the cause, framegate dead-letters redrive ID",
)  # fmt: skip
DEAD_LETTERS_WAITING: Final = Metric(
    "framegate_dead_letters_waiting", "gauge", "messages", ("queue",),
    "dead letters that nobody has redriven (counted up to 1000)",
    "framegate dead-letters list; correct the cause, then redrive",
)  # fmt: skip
IN_FLIGHT: Final = Metric(
    "framegate_in_flight", "gauge", "messages", ("stage",),
    "messages received and not yet settled by this process",
    "constant and above 0 without framegate_stage_seconds moving: the stage hangs; restart it",
)  # fmt: skip
BREAKER_OPEN: Final = Metric(
    "framegate_breaker_open", "gauge", "flag", ("stage",),
    "1 while the stage has stopped receiving because a dependency fails",
    "see /readyz for the dependency",
)  # fmt: skip
WORKERS: Final = Metric(
    "framegate_workers", "gauge", "processes", ("stage", "state"),
    "worker processes that reported lately: ready or troubled",
    "0 ready: nothing of that stage moves; start it, or read /readyz of one that is troubled",
)  # fmt: skip
QUEUE_READY: Final = Metric(
    "framegate_queue_ready_messages", "gauge", "messages", ("queue",),
    "messages that wait",
    "rising for minutes: add workers",
)  # fmt: skip
QUEUE_IN_FLIGHT: Final = Metric(
    "framegate_queue_in_flight_messages", "gauge", "messages", ("queue",),
    "messages in workers' hands",
    "high while nothing is settled: workers hang; they come back when the leases end",
)  # fmt: skip
QUEUE_DELAYED: Final = Metric(
    "framegate_queue_delayed_messages", "gauge", "messages", ("queue",),
    "messages that wait for their next attempt",
    "rising: attempts fail; framegate_attempts_ended_total says how",
)  # fmt: skip
QUEUE_OLDEST_SECONDS: Final = Metric(
    "framegate_queue_oldest_seconds", "gauge", "seconds", ("queue",),
    "age of the oldest message that waits",
    "rising while nothing is settled: the stage is down or its breaker is open",
)  # fmt: skip
IMAGES_REISSUED: Final = Metric(
    "framegate_images_reissued_total", "counter", "images", ("state",),
    "overdue images whose message was sent again",
    "messages are being lost: a purged queue, a killed worker, leases too short",
)  # fmt: skip
MESSAGES_RELAYED: Final = Metric(
    "framegate_messages_relayed_total", "counter", "messages", (),
    "messages that the sweeper sent for the process that could not",
    "processes die between commit and send, or the queue was away: look for both",
)  # fmt: skip
IMAGES_BY_END: Final = Metric(
    "framegate_images", "gauge", "images", ("end",),
    "conservation: accepted, decided, rejected, failed, in_flight, lost",
    "lost above 0 is a bug or a damaged database: framegate verify names the images",
)  # fmt: skip
