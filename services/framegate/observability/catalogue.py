"""Every metric of Framegate as data: what it is, what it means, and what to do about it."""

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["counter", "gauge", "histogram"]

#: Seconds, from a millisecond to a minute.
SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
#: Powers of two, for counts of things handled together.
SIZES: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)


@dataclass(frozen=True, slots=True)
class Metric:
    """One entry. Names follow the Prometheus conventions: base units, `_total` for counters."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    meaning: str
    remedy: str
    buckets: tuple[float, ...] = ()


IMAGES_ACCEPTED: Final = Metric(
    "framegate_images_accepted_total", "counter", ("lane",), "images answered with 202",
    "if it stays at 0, look at framegate_images_refused_total and at the cameras",
)  # fmt: skip
IMAGES_REFUSED: Final = Metric(
    "framegate_images_refused_total", "counter", ("reason",), "uploads answered with a 4xx or 5xx, by problem slug",
    "one slug rising means one sender changed: its title says what to correct",
)  # fmt: skip
ACCEPT_SECONDS: Final = Metric(
    "framegate_accept_seconds", "histogram", (), "time from the request's first byte to the 202",
    "high: look at the disk's fsync time and at Postgres; then add API processes", SECONDS,
)  # fmt: skip
OUTCOMES: Final = Metric(
    "framegate_outcomes_total", "counter", ("state", "verdict"), "images that ended, by state and verdict",
    "failed above 0 needs a person: framegate dead-letters list; rejected rising: a camera sends broken files",
)  # fmt: skip
VERDICT_SECONDS: Final = Metric(
    "framegate_accept_to_verdict_seconds", "histogram", (), "time from the recorded upload to the recorded outcome",
    "find the stage with the longest framegate_queue_wait_seconds and give it more workers", SECONDS,
)  # fmt: skip
QUEUE_WAIT_SECONDS: Final = Metric(
    "framegate_queue_wait_seconds", "histogram", ("stage",), "time a message waited before a worker claimed it",
    "above 1 s: the stage needs more workers", SECONDS,
)  # fmt: skip
STAGE_SECONDS: Final = Metric(
    "framegate_stage_seconds", "histogram", ("stage",), "time a stage worked on one batch",
    "a step upwards after a deployment: compare with framegate bench", SECONDS,
)  # fmt: skip
BATCH_IMAGES: Final = Metric(
    "framegate_batch_images", "histogram", ("stage",), "images handled together",
    "inference always at 1 under load: its fetch is too slow; look at blobs and Postgres", SIZES,
)  # fmt: skip
MESSAGES_RECEIVED: Final = Metric(
    "framegate_messages_received_total", "counter", ("stage",), "messages brought by receive", "0 under load: the queue",
)  # fmt: skip
MESSAGES_STALE: Final = Metric(
    "framegate_messages_stale_total", "counter", ("stage",), "repeated or overtaken messages, acknowledged without work",
    "a few are normal; many: leases end too early or the sweeper is too eager",
)  # fmt: skip
ATTEMPTS_ENDED: Final = Metric(
    "framegate_attempts_ended_total", "counter", ("stage", "ending"), "attempts that ended without a result",
    "error or crash rising: framegate dead-letters list, then the history of one image",
)  # fmt: skip
DEAD_LETTERS: Final = Metric(
    "framegate_dead_letters_total", "counter", ("stage", "cause"), "messages taken out of their queue",
    "framegate dead-letters show ID, correct the cause, framegate dead-letters redrive ID",
)  # fmt: skip
CLAIMS_LOST: Final = Metric(
    "framegate_claims_lost_total", "counter", ("stage",), "results thrown away because another worker took over",
    "rising: work takes longer than its lease, or the host stalls",
)  # fmt: skip
IN_FLIGHT: Final = Metric(
    "framegate_in_flight", "gauge", ("stage",), "messages received and not yet settled by this process",
    "constant and above 0 without framegate_stage_seconds moving: the stage hangs; restart it",
)  # fmt: skip
BREAKER_OPEN: Final = Metric(
    "framegate_breaker_open", "gauge", ("stage",), "1 while the stage has stopped receiving because a dependency fails",
    "see /readyz for the dependency",
)  # fmt: skip
QUEUE_READY: Final = Metric(
    "framegate_queue_ready_messages", "gauge", ("queue",), "messages that wait", "rising for minutes: add workers",
)  # fmt: skip
QUEUE_OLDEST_SECONDS: Final = Metric(
    "framegate_queue_oldest_seconds", "gauge", ("queue",), "age of the oldest message that waits",
    "rising while nothing is settled: the stage is down or its breaker is open",
)  # fmt: skip
IMAGES_REISSUED: Final = Metric(
    "framegate_images_reissued_total", "counter", ("state",), "overdue images whose message was sent again",
    "messages are being lost: a purged queue, a killed worker, leases too short",
)  # fmt: skip
MESSAGES_RELAYED: Final = Metric(
    "framegate_messages_relayed_total", "counter", (), "messages that the sweeper sent for the process that could not",
    "processes die between commit and send, or the queue was away: look for both",
)  # fmt: skip
IMAGES_BY_END: Final = Metric(
    "framegate_images", "gauge", ("end",), "conservation: accepted, decided, rejected, failed, in_flight, lost",
    "lost above 0 is a bug or a damaged database: framegate verify names the images",
)  # fmt: skip
BLOBS_SWEPT: Final = Metric(
    "framegate_blobs_swept_total", "counter", ("prefix",), "left-over files that were deleted", "nothing to do",
)  # fmt: skip
PARTS_ERASED: Final = Metric(
    "framegate_parts_erased_total", "counter", ("part",), "originals and metadata whose retention was over",
    "nothing to do: framegate retention show says how long what is kept",
)  # fmt: skip
HOUSEKEEPING_FAILURES: Final = Metric(
    "framegate_housekeeping_failures_total", "counter", ("work",),
    "counts (conservation), deletions (blobs), seals (audit), looks at cameras, decisions (reviews) and retention that failed",
    "framegate_images is old meanwhile; the sweeper's log says why: a long history needs a longer CONSERVATION_EVERY_S",
)  # fmt: skip
BUCKET_EVENTS: Final = Metric(
    "framegate_bucket_events_total", "counter", ("result",), "records of bucket events: accepted, known, skipped or failed",
    "skipped: the log's action bucket_event_skipped says why; failed: tried again, then framegate dead-letters list",
)  # fmt: skip
MODEL_LOAD_FAILURES: Final = Metric(
    "framegate_model_load_failures_total", "counter", (), "models of a deployment or a chain that this worker could not load",
    "the old model serves on, a chain's images go to review; framegate models show REF and the log say what is wrong",
)  # fmt: skip
SHADOW_IMAGES: Final = Metric(
    "framegate_shadow_images_total", "counter", ("result",), "images of the shadow model: recorded, skipped or failed",
    "skipped: there is no time left for a shadow, or its input differs; failed: see the log",
)  # fmt: skip
CHAIN_IMAGES: Final = Metric(
    "framegate_chain_images_total", "counter", ("result",), "images and models of their chain: named or unavailable",
    "unavailable: such images go to review; the log's action chain_load_failed or chain_unavailable says why",
)  # fmt: skip
SECOND_LOOKS: Final = Metric(
    "framegate_second_looks_total", "counter", ("result",),
    "doubtful images: asked, or budget and no-gain without a second look; of those looked at: pass, fail, uncertain, "
    "disagree, failed or (for another reason) other",
    "budget: raise second_look.max_share if there is capacity; few pass: the look costs more than it saves, switch it off",
)  # fmt: skip
SECOND_LOOK_SHARE: Final = Metric(
    "framegate_second_look_share", "gauge", (), "share of this worker's newest thousand images that it had looked at again",
    "near second_look.max_share: doubtful images go to review unseen; calibrate the thresholds, or give the looks capacity",
)  # fmt: skip
CANARY_ROLLBACKS: Final = Metric(
    "framegate_canary_rollbacks_total", "counter", (), "canaries that were taken back because they left their bounds",
    "framegate models show REF says which bound; the incumbent decides everything again",
)  # fmt: skip
INCIDENT_CHANGES: Final = Metric(
    "framegate_incident_changes_total", "counter", ("change",), "changes of incidents that receivers are told of",
    "incident.escalated rising: nobody acknowledges; framegate incidents list",
)  # fmt: skip
ALERTS_GROUPED: Final = Metric(
    "framegate_alerts_grouped_total", "counter", (), "alerts taken into incidents, new and old",
    "many for few changes is the purpose of incidents; 0 while images fail: the alerts stage is down",
)  # fmt: skip
HOOK_ATTEMPTS: Final = Metric(
    "framegate_hook_attempts_total", "counter", ("kind", "reason"), "attempts to deliver a message, by how they ended",
    "anything but delivered: framegate hooks log ENDPOINT says what the receiver did",
)  # fmt: skip
HOOK_SECONDS: Final = Metric(
    "framegate_hook_seconds", "histogram", ("kind",), "time of one attempt, from the name's resolution to the answer",
    "above 1 s: that receiver is slow; it delays only itself", SECONDS,
)  # fmt: skip
FIRST_ATTEMPT_SECONDS: Final = Metric(
    "framegate_alert_first_attempt_seconds", "histogram", (), "time from what happened to the first attempt to tell of it",
    "above 1 s: the alerts stage is down or its database slow, or an endpoint has more than its slots can deliver", SECONDS,
)  # fmt: skip
HOOK_DEAD: Final = Metric(
    "framegate_hook_dead_total", "counter", ("kind",), "deliveries that were given up",
    "framegate hooks dead names them; framegate hooks replay sends them again once the receiver is well",
)  # fmt: skip
HOOK_WAITING: Final = Metric(
    "framegate_hook_waiting", "gauge", (), "deliveries that are due and not in anybody's hands, or are being made",
    "rising: receivers are slow or the alerts stage is down",
)  # fmt: skip
HOOK_OLDEST_SECONDS: Final = Metric(
    "framegate_hook_oldest_seconds", "gauge", (), "for how long the oldest delivery has been due",
    "rising for minutes: the alerts stage is down, or one endpoint is slow (framegate hooks list)",
)  # fmt: skip
CAMERA_FAULTS: Final = Metric(
    "framegate_camera_faults", "gauge", ("fault",), "cameras that have this fault now; their images do not pass by themselves",
    "framegate cameras list names them, docs/cameras.md says what to do; framegate cameras resume where nothing is wrong",
)  # fmt: skip
CAMERA_FAULT_CHANGES: Final = Metric(
    "framegate_camera_fault_changes_total", "counter", ("fault", "change"), "faults of cameras that began or ended",
    "the same camera again and again: a loose cable, a lamp on a timer; its incidents have the numbers",
)  # fmt: skip
AUDIT_UNSEALED_SECONDS: Final = Metric(
    "framegate_audit_unsealed_seconds", "gauge", (), "for how long the oldest entry of the audit has waited for its seal",
    "above a minute: the sweep stage is down or a transaction stays open; until then the newest entries prove nothing",
)  # fmt: skip
REVIEW_ITEMS_OPEN: Final = Metric(
    "framegate_review_items_open", "gauge", (), "images that wait for people",
    "rising: more reviewers, or fewer doubts (docs/policy.md, from too many reviews to a new version)",
)  # fmt: skip
REVIEW_OLDEST_SECONDS: Final = Metric(
    "framegate_review_oldest_seconds", "gauge", (), "for how long the oldest of them has waited",
    "rising while people decide: one is skipped by everybody; framegate reviews list names it",
)  # fmt: skip
REVIEW_DECISIONS: Final = Metric(
    "framegate_review_decisions_total", "counter", ("decision",), "decisions of people, by what they say; refused ones too",
    "refused rising: two people on one key, or pages that do not show what they send",
)  # fmt: skip
LIVE_VIEWERS: Final = Metric(
    "framegate_live_viewers", "gauge", (), "pages that listen for what is new, of this process",
    "near 256: further pages are refused; one tool that opens a feed and another is the likely reason",
)  # fmt: skip
BUILD_INFO: Final = Metric(
    "framegate_build_info", "gauge", ("version", "model", "engine"), "1; what runs here", "nothing to do",
)  # fmt: skip

CATALOGUE: Final[tuple[Metric, ...]] = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
