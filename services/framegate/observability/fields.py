"""Every field of a log line as data: one name for one thing, wherever it is written."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Field:
    """One entry. `kind` is its type in JSON, with the unit where there is one."""

    name: str
    kind: str
    meaning: str


FIELDS: Final[tuple[Field, ...]] = (
    Field("timestamp", "string", "when, ISO 8601 in UTC"),
    Field("level", "string", "debug, info, warning or error"),
    Field("event", "string", "what happened, in constant words; of libraries, what they say"),
    Field("action", "string", "the same for programs: one of the names below"),
    Field("worker", "string", "the process: its `FRAMEGATE_WORKER_NAME`, else host, stages and process id"),
    Field("stage", "string", "ingest, preprocess, inference, gate, alerts or sweep"),
    Field("component", "string", "a part that belongs to no stage, or the library that speaks"),
    Field("exception", "string", "the traceback"),
    Field("image", "string", "image id"),
    Field("images", "list of strings", "image ids, or at most the first ten of them"),
    Field("facility", "string", "whose image, camera or policy it is"),
    Field("camera", "string", "camera id"),
    Field("attempt", "number", "which attempt it was, from 1; of an image in its stage, or of a message to a receiver"),
    Field("look", "number", "1, or 2 for a second look"),
    Field("trace_id", "string", "W3C Trace Context: 32 hexadecimal digits"),
    Field("request_id", "string", "of an HTTP request; its answer has it as `X-Request-Id`"),
    Field("method", "string", "of an HTTP request"),
    Field("path", "string", "of an HTTP request, without the query"),
    Field("error", "string", "what was raised, in its own words"),
    Field("cause", "string", "why an attempt or a message ended without a result"),
    Field("reason", "string", "the slug of an outcome, an attempt or a skipped object"),
    Field("detail", "string", "one sentence for people"),
    Field("retry_in_s", "number, seconds", "when it is tried again"),
    Field("count", "number", "of what the event tells"),
    Field("claims", "number", "claims on images"),
    Field("messages", "number", "messages of a queue"),
    Field("message_id", "string", "of a message in a queue or to a receiver (`webhook-id`)"),
    Field("thread", "string", "a thread's name"),
    Field("child", "string", "a process of the box, of which the supervisor tells"),
    Field("pid", "number", "its process id"),
    Field("ended", "string", "its exit code or signal"),
    Field("failed", "boolean", "whether a stage ended with an error"),
    Field("stages", "list of strings", "that a process runs"),
    Field("host", "string", "of a receiver's URL"),
    Field("port", "number", "of that URL, or where a process serves its metrics (ingest: the API)"),
    Field("address", "string", "that a receiver's name leads to"),
    Field("hook", "string", "id of a receiver's endpoint"),
    Field("kind", "string", "webhook, slack or sns"),
    Field("delivery", "number", "of one message to one receiver"),
    Field("disabled", "string", "why an endpoint is disabled from now on"),
    Field("work", "string", "a task of the sweeper, as in framegate_housekeeping_failures_total"),
    Field("part", "string", "of an image: original or metadata"),
    Field("subject", "string", "what an alert is about"),
    Field("fault", "string", "of a camera"),
    Field("object", "string", "bucket and key of an object that came past the API"),
    Field("policy", "number", "version of a facility's policy"),
    Field("model", "string", "NAME@VERSION"),
    Field("models", "object or list of strings", "the same for several, by role where they have one"),
    Field("deployment", "number", "of models"),
    Field("engine", "string", "runtime, version and precision"),
    Field("refused", "list of strings", "engines that were tried and not taken, and why"),
    Field("batch", "number", "frames that are worth inferring together"),
    Field("warm_s", "number, seconds", "until the engine was ready"),
    Field("actor", "string", "who did it"),
)  # fmt: skip
FIELD_NAMES: Final = frozenset(field.name for field in FIELDS)
