"""Every `action` of a log line as data: when it is logged, what it means, and what to do about it."""

from dataclasses import dataclass
from typing import Final, Literal

Level = Literal["debug", "info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Action:
    """One entry. `level` is the usual one; `remedy` is empty where nothing is to be done."""

    name: str
    level: Level
    meaning: str
    remedy: str = ""


_DATABASE: Final = "bring the dependency back: `/readyz` and `error` say which; nothing is charged to images"
_OURS: Final = "a mistake of ours: report it with the traceback"

ACTIONS: Final[tuple[Action, ...]] = (
    # The processes.
    Action("ready", "info", "a process has made its stages and begins to work"),
    Action("stopped", "info", "a process has stopped; `failed`: because a stage died"),
    Action("stage_died", "error", "a stage ended with an error and takes its process with it",
           "it is started again; if it repeats: `error` and the lines before"),
    Action("thread_died", "error", "a thread of a worker ended with an error; its process ends", _OURS),
    Action("drain_timed_out", "error", "a stopping process did not finish in time; what it held comes again after its lease",
           "often: raise `FRAMEGATE_WORKER__DRAIN_S`"),
    Action("report_failed", "error", "a process cannot say in the database that it lives", _OURS),
    Action("targets_unknown", "debug", "a box could not look where its processes serve metrics; what was known stays",
           "an exception: a mistake of ours: report it"),
    Action("serve_failed", "error", "the API cannot start", "`error` says what it lacks"),
    Action("child_started", "info", "the supervisor of a box started a process"),
    Action("child_died", "warning", "a process of a box ended by itself and is started again after a pause",
           "often: the lines of `child` before it; signal SIGKILL is mostly want of memory"),
    Action("child_killed", "error", "a process did not stop in time and was killed; nothing is lost",
           "often: its last lines say what it waited for"),
    Action("fork_server_lost", "error", "what the processes of a box are forked from has died or was ended, and they with it; "
           "all are started again, nothing is lost",
           "the lines of `fork-server` before it; mostly want of memory, or somebody killed it"),
    Action("child_said", "warning", "a process of a box wrote what is no log line: a traceback, or the last words of a library",
           "read it with the `child_died` after it"),
    Action("log_lines_lost", "warning", "lines could not be written to the box's log files; nothing else suffered",
           "free disk space, or the rights of `logs` in the data directory"),
    Action("database_died", "warning", "a box's Postgres ended by itself and is started again",
           "often: want of memory; `run/postgres-start.log` in the data directory"),
    Action("database_awaited", "info", "another process starts or stops a box's Postgres just now"),
    Action("database_restart_failed", "error", "a box's Postgres is down and cannot be started",
           "free disk space and memory; `run/postgres-start.log` in the data directory"),
    Action("library_said", "warning", "a library logged this, or Python warned", "see `component`"),
    Action("export_failed", "warning", "spans of traces did not reach their collector and are lost; images do not wait for it",
           "`/metrics`: framegate_spans_total; correct `FRAMEGATE_TRACES__ENDPOINT`"),
    Action("metrics_unread", "warning", "some metrics could not be read for a scrape; the others are given",
           "`error` says why; the readings come back by themselves"),
    Action("metrics_absent", "debug", "some metrics are not to be had here: mostly there is no GPU"),
    # Requests.
    Action("request_failed", "error", "a request was answered 500", _OURS),
    Action("dependency_unavailable", "warning", "a request was answered 503", _DATABASE),
    Action("fanout_failed", "warning", "pages that listen for what is new are told to wait", _DATABASE),
    Action("accept_failed", "error", "an upload could not be recorded; its sender was told 500 and sends again", _OURS),
    Action("blob_delete_failed", "warning", "the original of a repeated upload stays; it is swept by its age",
           _DATABASE),
    Action("content_changed", "error", "a stored original is not the one that came in",
           "docs/runbook.md: `content-changed`"),
    Action("deployment_follow_failed", "warning", "the API cannot see which models are deployed", _DATABASE),
    Action("bucket_events_failed", "warning", "the queue of a bucket's events cannot be read",
           "the queue's name and its policy; it is tried again"),
    Action("bucket_event_failed", "warning", "an object could not be taken in; its event comes again",
           "`error`; after some tries: `framegate dead-letters list`"),
    Action("bucket_event_skipped", "info", "an object is no image of ours; `reason` says why"),
    # The worker.
    Action("receive_failed", "warning", "a worker cannot receive or claim", _DATABASE),
    Action("put_away_failed", "warning", "a message that is not worked on could not be put back; it comes again",
           _DATABASE),
    Action("load_failed", "warning", "what a stage needs of an image cannot be read; as an error: of this image alone",
           _DATABASE),
    Action("handle_failed", "error", "a stage raised what it should not; the attempt is charged to the image", _OURS),
    Action("attempt_failed", "warning", "an attempt ended without a result; the image is tried again",
           "often: `cause`; framegate logs IMAGE"),
    Action("dead_lettered", "error", "a message was taken out of its queue",
           "framegate dead-letters show ID, correct the cause, framegate dead-letters redrive ID"),
    Action("image_failed", "error", "an image ended as `failed`; people are told",
           "framegate logs IMAGE; docs/runbook.md has the reasons"),
    Action("claims_lost", "warning", "results were thrown away: another worker took the images over",
           "often: work takes longer than its lease, or the host stalls"),
    Action("leases_lost", "warning", "leases of messages or claims ended before they were renewed",
           "often: raise `FRAMEGATE_WORKER__LEASE_S`, or look why the host stalls"),
    Action("lease_renewal_failed", "warning", "leases cannot be renewed", _DATABASE),
    Action("settling_failed", "warning", "results cannot be stored; they are kept and tried again", _DATABASE),
    Action("settling_given_up", "error", "a stopping worker left results to their leases; the work is done again",
           _DATABASE),
    Action("clean_up_failed", "error", "left-overs of settled images stay; the sweeper takes them", _OURS),
    Action("predecessor_freed", "warning", "what a worker of the same name held when it died is free again",
           "look why it died"),
    Action("alert_failed", "warning", "people could not be told of a dead letter", _DATABASE),
    Action("outbox_failed", "error", "messages that were sent stay in the outbox and will be sent again", _DATABASE),
    Action("send_failed", "error", "messages were not sent; the sweeper sends them",
           "the name and the policy of the queue in `error`"),
    Action("delete_failed", "warning", "handled messages could not be deleted; they come again and are known",
           "the queue's policy, or the network"),
    # The models.
    Action("engine_chosen", "info", "the engine that `FRAMEGATE_ENGINE=auto` took, why, and what it did not take"),
    Action("engine_ready", "info", "the model is loaded and warm"),
    Action("model_deployed", "info", "an operator started a box with this model, which is an approval"),
    Action("models_swapped", "info", "a worker serves another deployment"),
    Action("model_load_failed", "error", "a worker cannot load a model of a deployment; what served goes on",
           "`exception`; framegate models show REF; back: framegate models rollback"),
    Action("deployment_watch_failed", "error", "a worker cannot follow deployments; it serves what it serves", _OURS),
    Action("shadow_failed", "error", "the shadow model failed; it decides nothing",
           "`exception`; take it back: framegate models deploy without --shadow"),
    Action("chain_loaded", "info", "a model of a chain is loaded"),
    Action("chain_load_failed", "error", "a model of a chain cannot be loaded; its images go to review",
           "`error`; framegate models show REF"),
    Action("chain_refused", "error", "a facility's policy has a chain that cannot be followed; its images go to review",
           "framegate policy show; correct it or framegate policy rollback"),
    Action("chain_failed", "error", "a model of a chain failed on a batch; the images go to review", "`exception`"),
    Action("chain_unavailable", "warning", "a model of a chain named nothing on this image, which goes to review",
           "the `chain_load_failed` or `chain_failed` before it"),
    # The sweeper.
    Action("sweep_failed", "warning", "overdue images cannot be sent again for the moment", _DATABASE),
    Action("housekeeping_failed", "warning", "a task of the sweeper failed and is tried again; `work` says which",
           "docs/runbook.md: framegate_housekeeping_failures_total"),
    Action("messages_relayed", "warning", "messages were sent for processes that could not",
           "their `send_failed`, or why they died"),
    Action("images_reissued", "warning", "messages of overdue images were sent again",
           "often: messages get lost: a purged queue, killed workers, short leases"),
    Action("images_lost", "error", "images were accepted and are nowhere", "framegate verify names them"),
    Action("camera_fault_began", "warning", "a camera has a fault; its images do not pass by themselves",
           "docs/cameras.md: `fault`"),
    Action("camera_fault_ended", "info", "a camera is well again"),
    Action("drift_began", "warning", "a camera or a model is not what it was when its reference was frozen",
           "docs/drift.md: `subject` and `detail`"),
    Action("drift_ended", "info", "what drifted is as it was"),
    Action("canary_rolled_back", "error", "a canary left its bounds; the incumbent decides everything again",
           "framegate models show REF says which bound"),
    Action("parts_erased", "info", "originals or metadata whose retention was over were erased"),
    # The receivers.
    Action("alerts_failed", "warning", "alerts cannot be grouped or delivered", _DATABASE),
    Action("hook_attempt_failed", "warning", "a receiver did not take a message; it is tried again",
           "framegate hooks log HOOK"),
    Action("hook_attempt_not_recorded", "error", "a receiver's answer could not be written down; it gets the message twice",
           _DATABASE),
    Action("hook_failed", "error", "an attempt ended by our own fault",
           "a kind that is not installed (extra `aws`), or report it with the traceback"),
    Action("hook_blocked", "warning", "a receiver's name leads to an address that hooks may not reach",
           "if it is meant: `FRAMEGATE_HOOKS__ALLOW`"),
    Action("delivery_failed", "error", "a delivery ended by our own fault; it is made again after its lease", _OURS),
    Action("thread_refused", "error", "this process may have no more threads; deliveries wait for their leases",
           "limits of the container (pids)"),
)  # fmt: skip
ACTION_NAMES: Final = frozenset(action.name for action in ACTIONS)
