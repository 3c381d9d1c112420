"""The inference stage: prepared frames in, detections in pixels of the original out."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from framegate.inference.fleet import Fleet, LoadedModel
from framegate.inference.heads import Rows
from framegate.inference.naming import Seen
from framegate.kernel.detections import Detections
from framegate.kernel.errors import BlobMissing, EngineFault, FramegateError
from framegate.kernel.frames import decode_frame
from framegate.kernel.geometry import Letterbox
from framegate.kernel.inspection import Failed, Inspected, Prepared
from framegate.kernel.manifest import ModelManifest
from framegate.kernel.states import Stage
from framegate.ports.blobs import Blobs
from framegate.ports.progress import Claim, PrepareAgain, Result


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A claim and its prepared frame: content rows, read-only, padded only when its batch is put together."""

    claim: Claim
    prepared: Prepared
    content: NDArray[np.uint8]


def unlabelled(frames: Sequence[Seen]) -> list[Inspected]:
    """Without any chain."""
    return [frame.found for frame in frames]


class InferenceHandler:
    """The engines belong to the one thread that calls `handle` and `close`; `load` and `settled` may run beside."""

    stage = Stage.INFERENCE

    def __init__(
        self,
        fleet: Fleet,
        blobs: Blobs,
        looked_at: Callable[[Sequence[Job]], None] = lambda _: None,
        label: Callable[[Sequence[Seen]], list[Inspected]] = unlabelled,
    ) -> None:
        """`looked_at` is told of jobs whose results are durable, before their frames are deleted; `label` adds what the
        chain says.
        """
        self._fleet, self._blobs, self._looked_at, self._label = fleet, blobs, looked_at, label

    def batch(self) -> int:
        """How many frames are worth inferring together at the moment."""
        return self._fleet.incumbent.batch

    def load(self, claim: Claim) -> Job:
        """Raises `BlobMissing` also for a prepared frame that cannot be used: both are cured by preparing it again."""
        prepared = claim.prepared
        if prepared is None:
            raise FramegateError(f"image {claim.image.image_id} came to inference without a prepared frame")
        data = self._blobs.get(prepared.blob_key)
        box = prepared.letterbox
        try:
            content = decode_frame(data, prepared.codec, box.content_height, box.content_width)
        except ValueError as error:
            raise BlobMissing(f"{prepared.blob_key} is damaged: {error}") from error
        return Job(claim, prepared, content)

    def handle(self, jobs: Sequence[Job]) -> list[Result]:
        """Raises `EngineFault` when an engine refuses a batch or its output has the wrong shape."""
        self._fleet.tidy()
        results: dict[int, Result] = {}
        groups: defaultdict[LoadedModel, list[int]] = defaultdict(list)
        for i, job in enumerate(jobs):
            image = job.claim.image
            model = self._fleet.model_for(image.facility, image.camera, job.prepared.letterbox)
            if model is None:
                results[i] = PrepareAgain("prepared for the input of a model that does not serve any more")
            else:
                groups[model].append(i)
        for model, members in groups.items():
            decoded = model.infer([(jobs[i].content, jobs[i].prepared.letterbox) for i in members])
            for i, rows in zip(members, decoded, strict=True):
                box = jobs[i].prepared.letterbox
                results[i] = finding(rows, box, model.manifest, model.engine.description)
        return self._labelled(jobs, [results[i] for i in range(len(jobs))])

    def _labelled(self, jobs: Sequence[Job], results: list[Result]) -> list[Result]:
        found = [(i, result) for i, result in enumerate(results) if isinstance(result, Inspected)]
        seen = [Seen(jobs[i].claim.image, jobs[i].content, jobs[i].prepared.letterbox, result) for i, result in found]
        for (i, _), labelled in zip(found, self._label(seen), strict=True):
            results[i] = labelled
        return results

    def settled(self, jobs: Sequence[Job]) -> None:
        """Their prepared frames are not needed any more."""
        self._looked_at(jobs)
        for job in jobs:
            self._blobs.delete(job.prepared.blob_key)

    def close(self) -> None:
        """Frees the device."""
        self._fleet.close()


def finding(rows: Rows | EngineFault, letterbox: Letterbox, manifest: ModelManifest, engine: str) -> Inspected | Failed:
    """What `decode_head` said of one frame, in pixels of its original; `engine` is the engine's description."""
    if isinstance(rows, EngineFault):
        return Failed("engine-output", f"{engine}: {rows}", manifest.ref, manifest.sha256, engine)
    detections = in_original(rows, letterbox)
    names = tuple(manifest.classes[class_id] for class_id in detections.class_id)
    return Inspected(detections, names, manifest.ref, manifest.sha256, engine)


def in_original(rows: Rows, letterbox: Letterbox) -> Detections:
    """Boxes without area, such as those wholly inside the padding, are dropped."""
    boxes = letterbox.to_original(rows[:, :4])
    solid = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    return Detections.from_rows(np.concatenate([boxes, rows[:, 4:]], axis=1)[solid])
