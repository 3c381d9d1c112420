"""What comes in: uploads, events of buckets, requests."""

from typing import Final

from framegate.observability.catalogue.metric import BYTES, SECONDS, Metric

IMAGES_ACCEPTED: Final = Metric(
    "framegate_images_accepted_total", "counter", "images", ("lane",),
    "images recorded: uploads answered with 202 for the first time, and what came by a bucket",
    "if it stays at 0, look at framegate_images_refused_total and at the cameras",
)  # fmt: skip
IMAGES_REFUSED: Final = Metric(
    "framegate_images_refused_total", "counter", "uploads", ("reason",),
    "uploads answered with a 4xx or 5xx, by problem slug",
    "one slug rising means one sender changed: its title says what to correct",
)  # fmt: skip
IMAGES_REUSED: Final = Metric(
    "framegate_images_reused_total", "counter", "images", ("kind",),
    "uploads that needed no inspection of their own: replayed (answered with the first of the same request), copied"
    " (the outcome of the same bytes)",
    "replayed rising: a sender does not see our answers in time; copied rising: a camera sends one picture again "
    "and again",
)  # fmt: skip
CAMERA_IMAGES: Final = Metric(
    "framegate_camera_images_total", "counter", "images", ("camera",),
    "accepted images of each camera",
    "0 for a camera that should send: its cable, its power, its key",
)  # fmt: skip
IMAGE_METADATA: Final = Metric(
    "framegate_image_metadata_total", "counter", "images", ("field", "presence"),
    "accepted images by whether they came with this metadata: present or missing",
    "missing more often than before: a scanner or the sender's link to the warehouse system is down; results cannot"
    " be found by shipment",
)  # fmt: skip
UPLOAD_BYTES: Final = Metric(
    "framegate_upload_bytes", "histogram", "bytes", (),
    "size of accepted originals",
    "a step upwards: a camera's resolution or quality was changed; disk and decoding follow",
    BYTES,
)  # fmt: skip
ACCEPT_SECONDS: Final = Metric(
    "framegate_accept_seconds", "histogram", "seconds", (),
    "time from the request's first byte to the 202",
    "high: look at the disk's fsync time and at Postgres; then add API processes",
    SECONDS,
)  # fmt: skip
HTTP_RESPONSES: Final = Metric(
    "framegate_http_responses_total", "counter", "responses", ("route", "status"),
    "answers of the API and the pages, by route template and status; other: paths that no route knows",
    "5xx rising: the log's action request_failed has the request ids; 429 and 503 rising: more API processes",
)  # fmt: skip
HTTP_SECONDS: Final = Metric(
    "framegate_http_request_seconds", "histogram", "seconds", ("area",),
    "time from a request's first byte to the answer's headers, of paths that a route knows; area: uploads, api, pages or "
    "live",
    "pages above 1 s: the database; uploads: see framegate_accept_seconds",
    SECONDS,
)  # fmt: skip
BUCKET_EVENTS: Final = Metric(
    "framegate_bucket_events_total", "counter", "records", ("result",),
    "records of bucket events: accepted, known, skipped or failed",
    "skipped: the log's action bucket_event_skipped says why; failed: tried again, then framegate dead-letters list",
)  # fmt: skip
LIVE_VIEWERS: Final = Metric(
    "framegate_live_viewers", "gauge", "pages", (),
    "pages that listen for what is new, of this process",
    "near 256: further pages are refused; one tool that opens a feed and another is the likely reason",
)  # fmt: skip
