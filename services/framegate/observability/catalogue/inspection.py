"""What the models see and the gate decides, and how good the pictures are."""

from typing import Final

from framegate.observability.catalogue.metric import COUNTS, LUMA, RATIOS, SECONDS, SHARPNESS, Metric

OUTCOMES: Final = Metric(
    "framegate_outcomes_total", "counter", "images", ("state", "verdict"),
    "images that ended, by state and verdict; the gate tells, ingest of those whose outcome was copied",
    "failed above 0 needs a person: framegate dead-letters list; rejected rising: a camera sends broken files",
)  # fmt: skip
REJECTIONS: Final = Metric(
    "framegate_rejections_total", "counter", "images", ("reason",),
    "images that ended as rejected, by reason, as the gate told it",
    "one reason rising: one camera sends broken files; framegate images list --state rejected",
)  # fmt: skip
VERDICT_REASONS: Final = Metric(
    "framegate_verdict_reasons_total", "counter", "images", ("reason",),
    "decided images by the (first) reason of their verdict, as the gate told it: without copied outcomes",
    "a doubt that rises fills the review queue; docs/policy.md says which threshold it is",
)  # fmt: skip
ENGINE_SECONDS: Final = Metric(
    "framegate_engine_seconds", "histogram", "seconds", ("model",),
    "time of one call of the engine, copies to and from the device included, without those that warm it; of detectors, "
    "shadows and models of chains",
    "a step upwards: another process on the device, heat (framegate_gpu_throttled), or another engine than before "
    "(framegate_model_info)",
    SECONDS,
)  # fmt: skip
ENGINE_IMAGES: Final = Metric(
    "framegate_engine_images_total", "counter", "images", ("model",),
    "frames that the engine looked at",
    "0 under load: no engine runs; see framegate_workers",
)  # fmt: skip
ENGINE_FAULTS: Final = Metric(
    "framegate_engine_faults_total", "counter", "batches", ("model",),
    "batches that the engine refused, or answered with what cannot be used: another number of results, another shape, "
    "NaN, a confidence or class that cannot be",
    "any: framegate dead-letters list and the log's action attempt_failed; roll the model back if it began with a "
    "deployment",
)  # fmt: skip
CONFIDENCE: Final = Metric(
    "framegate_detection_confidence", "histogram", "ratio", ("model", "class"),
    "confidence of the detections that outcomes rest on, as the gate told it: without what the model holds back",
    "shifted against last week: framegate drift status; light, lens or goods changed, or the model",
    RATIOS,
)  # fmt: skip
DETECTIONS_PER_IMAGE: Final = Metric(
    "framegate_detections_per_image", "histogram", "detections", ("model",),
    "boxes that the outcome of one image rests on, as the gate told it",
    "a step: goods or the camera's view changed",
    COUNTS,
)  # fmt: skip
MODEL_INFO: Final = Metric(
    "framegate_model_info", "gauge", "info", ("model", "engine", "role"),
    "1 for what this worker serves; role: incumbent, canary or shadow",
    "two models as incumbent for minutes: a worker does not take the deployment; framegate models deployments",
)  # fmt: skip
MODEL_LOAD_FAILURES: Final = Metric(
    "framegate_model_load_failures_total", "counter", "models", (),
    "models of a deployment or a chain that this worker could not load",
    "the old model serves on, a chain's images go to review; framegate models show REF and the log say what is wrong",
)  # fmt: skip
SHADOW_IMAGES: Final = Metric(
    "framegate_shadow_images_total", "counter", "images", ("result",),
    "images of the shadow model: recorded, skipped or failed",
    "skipped: there is no time left for a shadow, or its input differs; failed: see the log",
)  # fmt: skip
CHAIN_IMAGES: Final = Metric(
    "framegate_chain_images_total", "counter", "images", ("result",),
    "images and models of their chain: named or unavailable",
    "unavailable: such images go to review; the log's action chain_load_failed or chain_unavailable says why",
)  # fmt: skip
SECOND_LOOKS: Final = Metric(
    "framegate_second_looks_total", "counter", "images", ("result",),
    "doubtful images: asked, or budget and no-gain without a second look; of those looked at: pass, fail, "
    "uncertain, disagree, failed or (for another reason) other",
    "budget: raise second_look.max_share if there is capacity; few pass: the look costs more than it saves, switch "
    "it off",
)  # fmt: skip
SECOND_LOOK_SHARE: Final = Metric(
    "framegate_second_look_share", "gauge", "ratio", (),
    "share of this worker's newest thousand images that it had looked at again",
    "near second_look.max_share: doubtful images go to review unseen; calibrate the thresholds, or give the looks "
    "capacity",
)  # fmt: skip
CANARY_ROLLBACKS: Final = Metric(
    "framegate_canary_rollbacks_total", "counter", "canaries", (),
    "canaries that were taken back because they left their bounds",
    "framegate models show REF says which bound; the incumbent decides everything again",
)  # fmt: skip
IMAGE_SHARPNESS: Final = Metric(
    "framegate_image_sharpness", "histogram", "variance", ("camera",),
    "variance of the Laplacian of prepared frames, of images of the live lane that ended at the gate",
    "falling for one camera: clean its lens; framegate_camera_faults says when it is a fault",
    SHARPNESS,
)  # fmt: skip
IMAGE_EXPOSURE: Final = Metric(
    "framegate_image_exposure", "histogram", "luma", ("camera",),
    "mean luma of prepared frames, 0 to 255, of the same images as framegate_image_sharpness",
    "shifted: a lamp, the sun or the camera's settings",
    LUMA,
)  # fmt: skip
IMAGE_CONTRAST: Final = Metric(
    "framegate_image_contrast", "histogram", "luma", ("camera",),
    "standard deviation of the luma of prepared frames, 0 to 127.5, of the same images as framegate_image_sharpness",
    "falling: haze, glare or a dirty lens",
    LUMA,
)  # fmt: skip
IMAGE_FLAGS: Final = Metric(
    "framegate_image_flags_total", "counter", "images", ("flag",),
    "what is doubtful about the prepared frames of images that ended at the gate, of both lanes: too-dark, too-bright, "
    "blurred, flat, noise, small; none where nothing is",
    "one flag rising: framegate_image_sharpness and its neighbours name the camera",
)  # fmt: skip
CAMERA_FAULTS: Final = Metric(
    "framegate_camera_faults", "gauge", "cameras", ("fault",),
    "cameras that have this fault now; their images do not pass by themselves",
    "framegate cameras list names them, docs/cameras.md says what to do; framegate cameras resume where nothing is "
    "wrong",
)  # fmt: skip
CAMERA_FAULT_CHANGES: Final = Metric(
    "framegate_camera_fault_changes_total", "counter", "changes", ("fault", "change"),
    "faults of cameras that began or ended",
    "the same camera again and again: a loose cable, a lamp on a timer; its incidents have the numbers",
)  # fmt: skip
CAMERAS_FOLDED: Final = Metric(
    "framegate_cameras_folded", "gauge", "cameras", (),
    "cameras that this process has counted as 'other', because more send than FRAMEGATE_METRICS__CAMERAS",
    "above 0: raise the limit if Prometheus has the memory; results and pages are not affected",
)  # fmt: skip
DRIFT_SCORE: Final = Metric(
    "framegate_drift_score", "gauge", "psi", ("subject_kind", "subject", "feature"),
    "bias-corrected PSI of the newest window against the frozen reference, of the hundred largest",
    "0.1 is noticeable, 0.25 is much; framegate drift status says whether it is significant",
)  # fmt: skip
DRIFT_FINDINGS: Final = Metric(
    "framegate_drift_findings", "gauge", "findings", ("subject_kind", "feature"),
    "findings of drift that hold now",
    "framegate drift status names the camera or model and the images that moved it; docs/drift.md says what to do",
)  # fmt: skip
DRIFT_IMAGES: Final = Metric(
    "framegate_drift_images_total", "counter", "images", (),
    "ended images that the drift watch has taken in",
    "0 while images end: the sweep stage is down or behind; see framegate_housekeeping_failures_total",
)  # fmt: skip
