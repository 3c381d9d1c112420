"""A labelled set seen by a model, and what the gate would make of it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from framegate.gate.decide import decide
from framegate.gate.policy import Policy
from framegate.kernel.errors import ConfigurationError
from framegate.kernel.ids import DEFAULT_FACILITY, CameraId, ImageId
from framegate.kernel.inspection import ImageFacts
from framegate.kernel.manifest import ModelManifest
from framegate.kernel.states import CameraStatus, Lane
from framegate.models.labels import LabelledImage, LabelledSet, LeftOut
from framegate.models.metrics import Array, Pair, Scores, roc_auc, score
from framegate.models.predictor import Predictor, Progress, Seen
from framegate.ports.engine import Engine
from framegate.preprocess.stage import Decoder

#: Average precision counts boxes that no threshold would let through; `ultralytics val` starts here, too.
MEASURING_FLOOR: Final = 0.001

#: A camera that somebody vouched for: what the gate holds against an image is then only what is in the picture.
_FACTS: Final = ImageFacts(
    DEFAULT_FACILITY, ImageId(UUID(int=0)), CameraId("labelled"), CameraStatus.CONFIRMED, Lane.BULK, "", "", "", 0, 0, 0, 1,
    datetime.min.replace(tzinfo=UTC),
)  # fmt: skip


class Example(NamedTuple):
    """What the model saw, down to `MEASURING_FLOOR`, and what people say."""

    seen: Seen
    label: LabelledImage


@dataclass(frozen=True, slots=True, eq=False)
class Examined:
    """A set after the model looked at it."""

    manifest: ModelManifest
    engine: str
    labels: LabelledSet
    defects: tuple[str, ...]  #: classes that are damage
    examples: tuple[Example, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def defect_ids(self) -> tuple[int, ...]:
        """Of `defects`, in the model's numbers."""
        return tuple(self.manifest.classes.index(name) for name in self.defects)

    def scores(self) -> Scores:
        """Only for sets with boxes."""
        pairs = [Pair(seen.found.detections, label) for seen, label in self.examples]
        return score(pairs, self.manifest.classes)

    def is_damaged(self, label: LabelledImage) -> bool:
        """As people said of the image, or of a box in it."""
        return bool(np.isin(label.class_id, self.defect_ids).any()) if label.damaged is None else label.damaged

    def damaged(self) -> NDArray[np.bool_]:
        """(n,) by example."""
        return np.array([self.is_damaged(label) for _, label in self.examples], np.bool_)

    def peaks(self) -> Array:
        """(n,) the highest confidence of any defect in each image; 0 where there is none."""
        return np.array([peak(seen, self.defect_ids) for seen, _ in self.examples])

    def auc(self) -> float | None:
        """How well `peaks` tells damaged from intact images; None without both kinds."""
        damaged = self.damaged()
        return roc_auc(self.peaks(), damaged) if damaged.any() and not damaged.all() else None

    def verdicts(self, policy: Policy) -> dict[str, dict[str, int]]:
        """What the gate would decide with the model's own floor: {damaged, intact: {pass, review, fail: images}}."""
        counted: dict[str, Counter[str]] = {"damaged": Counter(), "intact": Counter()}
        for seen, label in self.examples:
            shown = seen.above(self.manifest.floor)
            # No classifier runs here: whatever the policy puts behind the detector counts as having answered.
            named = tuple(link.model for link in policy.for_camera(_FACTS.camera).chain)
            outcome = decide(policy, _FACTS, shown.prepared, replace(shown.found, chained=named))
            counted["damaged" if self.is_damaged(label) else "intact"][str(outcome.verdict)] += 1
        return {kind: {v: counts[v] for v in ("pass", "review", "fail")} for kind, counts in counted.items()}

    def to_json(self) -> dict[str, Any]:
        """What was measured on what; paths are relative to the set."""
        return {
            "model": self.manifest.ref,
            "model_sha256": self.manifest.sha256,
            "engine": self.engine,
            "defects": list(self.defects),
            "data": {
                "name": self.labels.root.name,
                "format": self.labels.format,
                "sha256": self.labels.sha256,
                "images": len(self.examples),
                "damaged": int(self.damaged().sum()),
                "left_out": [
                    {"image": str(_relative(left, self.labels)), "reason": left.reason} for left in self.left_out
                ],
            },
        }


def defects_of(manifest: ModelManifest, chosen: Sequence[str]) -> tuple[str, ...]:
    """The classes that are damage: those chosen, else those with thresholds in the manifest, else all."""
    unknown = set(chosen) - set(manifest.classes)
    if unknown:
        raise ConfigurationError(f"--defect {min(unknown)}: {manifest.ref} has only {', '.join(manifest.classes)}")
    wanted = set(chosen) or set(manifest.thresholds) or set(manifest.classes)
    return tuple(name for name in manifest.classes if name in wanted)


def examine(
    labels: LabelledSet,
    manifest: ModelManifest,
    defects: tuple[str, ...],
    engine: Engine,
    decoder: Decoder,
    progress: Progress,
) -> Examined:
    """Every image of the set through the model; raises `ConfigurationError` when not one can be measured."""
    low = replace(manifest, floor=min(manifest.floor, MEASURING_FLOOR))
    answers = list(Predictor(engine, low, decoder).predict([image.path for image in labels.images], progress))
    by_path = {image.path: image for image in labels.images}
    seen = sorted((answer for answer in answers if isinstance(answer, Seen)), key=lambda one: one.path)
    left_out = (*labels.left_out, *(answer for answer in answers if isinstance(answer, LeftOut)))
    if not seen:
        raise ConfigurationError(f"{labels.root}: no image can be measured; the first: {left_out[0].reason}")
    examples = tuple(Example(one, by_path[one.path]) for one in seen)
    return Examined(manifest, engine.description, labels, defects, examples, left_out)


def peak(seen: Seen, class_ids: Sequence[int]) -> float:
    """The highest confidence of these classes, 0 without any."""
    boxes = seen.found.detections
    return float(boxes.confidence[np.isin(boxes.class_id, class_ids)].max(initial=0))


def _relative(left: LeftOut, labels: LabelledSet) -> str:
    inside = left.path.is_relative_to(labels.root)
    return left.path.relative_to(labels.root).as_posix() if inside else left.path.name
