"""Cameras, models, and what comes with the pictures."""

from typing import Final

from infra.monitoring.alarm import Alarm, Group, Panel, Recording, happened

_CAMERAS: Final = "framegate-cameras"
_MODELS: Final = "framegate-models"

#: Of fields and hours with at least fifty images: a share of fewer says nothing.
_MISSING: Final = """(
  sum by (field) (increase(framegate_image_metadata_total{presence="missing"}[1h]))
  or 0 * sum by (field) (increase(framegate_image_metadata_total[1h]))
) / (sum by (field) (increase(framegate_image_metadata_total[1h])) >= 50)"""

CAMERA_SILENT: Final = Alarm(
    "FramegateCameraSilent", "ticket", 'max(framegate_camera_faults{fault="silent"}) > 0', "1m",
    "{{ $value }} cameras that should send are silent", Panel(_CAMERAS, "Cameras with a fault"),
)  # fmt: skip
CAMERA_FAULT: Final = Alarm(
    "FramegateCameraFault", "ticket", 'max by (fault) (framegate_camera_faults{fault!="silent"}) > 0', "1m",
    "{{ $value }} cameras have the fault {{ $labels.fault }}; nothing of them passes by itself",
    Panel(_CAMERAS, "Cameras with a fault"),
)  # fmt: skip
METADATA_MISSING: Final = Alarm(
    "FramegateMetadataMissing", "ticket",
    """framegate:metadata_missing:ratio1h
- (framegate:metadata_missing:ratio1h offset 7d or framegate:metadata_missing:ratio1h offset 1d) > 0.1""",
    "15m",
    "{{ $labels.field }} is missing from more images than at this hour before: {{ $value | humanizePercentage }} of all more",
    Panel(_CAMERAS, "Metadata missing"),
)  # fmt: skip
IMAGES_REJECTED: Final = Alarm(
    "FramegateImagesRejected", "ticket",
    """(sum(increase(framegate_outcomes_total{state="rejected"}[1h])) >= 20)
/ sum(increase(framegate_outcomes_total[1h])) > 0.05""",
    "5m", "{{ $value | humanizePercentage }} of the images of the last hour are no images that we can read",
    Panel(_CAMERAS, "Images rejected"),
)  # fmt: skip
DRIFT: Final = Alarm(
    "FramegateDrift", "ticket", "max by (subject_kind, feature) (framegate_drift_findings) > 0", "5m",
    "{{ $value }} findings of drift hold: the {{ $labels.feature }} of a {{ $labels.subject_kind }} is not what it was",
    Panel(_MODELS, "Findings of drift"),
)  # fmt: skip
CANARY_ROLLED_BACK: Final = Alarm(
    "FramegateCanaryRolledBack", "ticket", "sum(increase(framegate_canary_rollbacks_total[1h])) > 0", "0s",
    "A canary left its bounds within the last hour and was taken back", Panel(_MODELS, "Canaries taken back"),
)  # fmt: skip
MODEL_LOAD_FAILING: Final = Alarm(
    "FramegateModelLoadFailing", "ticket", "sum(increase(framegate_model_load_failures_total[15m])) > 0", "0s",
    "Workers could not load a model within the last 15 minutes; the old one serves on",
    Panel(_MODELS, "Models that could not be loaded"),
)  # fmt: skip
MODELS_DISAGREE: Final = Alarm(
    "FramegateModelsDisagree", "ticket",
    'count(count by (model) (framegate_model_info{role="incumbent"} == 1)) > 1', "30m",
    "{{ $value }} models decide at once: a worker does not take the deployment", Panel(_MODELS, "Models that serve"),
)  # fmt: skip
ENGINE_FAULTS: Final = Alarm(
    "FramegateEngineFaults", "ticket", happened("framegate_engine_faults_total", "15m", "model"), "0s",
    'The engine of {{ $labels.model }} refused {{ printf "%.0f" $value }} batches, or answered them wrongly, within 15 minutes',
    Panel("framegate-inference", "Engine faults"),
)  # fmt: skip
CHAIN_UNAVAILABLE: Final = Alarm(
    "FramegateChainUnavailable", "ticket",
    'sum(increase(framegate_chain_images_total{result="unavailable"}[15m])) >= 10', "5m",
    '{{ printf "%.0f" $value }} times within 15 minutes a model of a chain was not there; such images go to review',
    Panel(_MODELS, "Chains"),
)  # fmt: skip

GROUP: Final = Group(
    "inspection",
    (Recording("framegate:metadata_missing:ratio1h", _MISSING),),
    (
        CAMERA_SILENT, CAMERA_FAULT, METADATA_MISSING, IMAGES_REJECTED, DRIFT, CANARY_ROLLED_BACK, MODEL_LOAD_FAILING,
        MODELS_DISAGREE, ENGINE_FAULTS, CHAIN_UNAVAILABLE,
    ),
)  # fmt: skip
