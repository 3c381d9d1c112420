"""Intake in memory."""

from collections.abc import Sequence
from dataclasses import replace

from framegate.adapters.memory.state import ImageRow, MemoryState
from framegate.kernel.camera_health import CAMERA_FAULT
from framegate.kernel.chain import UNAVAILABLE
from framegate.kernel.ids import ImageId
from framegate.kernel.inspection import LOOK_FAILED, ImageFacts, Inspected
from framegate.kernel.states import CameraStatus, ImageState, Verdict
from framegate.ports.store import Accepted, Camera, NewImage


class MemoryIntake:
    """`Intake`. Safe for use from several threads."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    def accept(self, images: Sequence[NewImage]) -> list[Accepted]:
        """Earlier images of the same call count as known. A known image id is replayed as well."""
        with self._state.lock:
            return [self._accept(new) for new in images]

    def _accept(self, new: NewImage) -> Accepted:
        earlier, same = self._earlier(new)
        if earlier is not None:
            duplicate_of = earlier.duplicate_of if same else None
            return Accepted(earlier.facts.image_id, earlier.state, duplicate_of, replayed=same, conflict=not same)
        twins = [r for r in self._state.images.values() if _twins(r.new, new)]
        first = min(twins, key=lambda r: r.sequence).facts.image_id if twins else None
        row = self._insert(new, first)
        source = self._reusable(row, twins)
        if source is None:
            self._state.emit(row)
            return Accepted(row.facts.image_id, row.state, first)
        copied = self._reuse(row, source)
        return Accepted(row.facts.image_id, row.state, first, verdict=copied)

    def _earlier(self, new: NewImage) -> tuple[ImageRow | None, bool]:
        if new.idempotency_key is not None:
            known = self._state.idempotency.get((new.facility, new.key_id, new.idempotency_key))
            if known is not None:
                return self._state.images[known[1]], known[0] == new.request_hash
        elif new.captured_at is not None:
            for row in self._state.images.values():
                if _twins(row.new, new) and (row.new.camera, row.new.captured_at) == (new.camera, new.captured_at):
                    return row, True
        return self._state.images.get(new.image_id), True

    def _insert(self, new: NewImage, first: ImageId | None) -> ImageRow:
        now = self._state.now()
        facts = ImageFacts(
            new.facility,
            new.image_id,
            new.camera,
            self._see(new),
            new.lane,
            new.blob_key,
            new.media_type,
            new.sha256,
            new.size_bytes,
            new.width,
            new.height,
            new.orientation,
            now,
            dict(new.metadata),
        )
        row = ImageRow(new, facts, len(self._state.images) + 1, first, now, self._state.clock.monotonic())
        row.timeline["received"] = now
        self._state.images[new.image_id] = row
        if new.idempotency_key is not None:
            key = (new.facility, new.key_id, new.idempotency_key)
            self._state.idempotency[key] = (new.request_hash, new.image_id)
        body = {"camera": str(new.camera), "sha256": new.sha256}
        self._state.record(new.facility, f"key:{new.key_id}", "image.accepted", str(new.image_id), body)
        return row

    def _see(self, new: NewImage) -> CameraStatus:
        now, place = self._state.now(), (new.facility, new.camera)
        camera = self._state.cameras.get(place)
        if camera is None:
            camera = Camera(new.facility, new.camera, CameraStatus.UNCONFIRMED, now, now)
            self._state.record(new.facility, f"key:{new.key_id}", "camera.seen", str(new.camera), {})
        self._state.cameras[place] = replace(camera, last_image_at=now)
        return camera.status

    def _reusable(self, row: ImageRow, twins: Sequence[ImageRow]) -> ImageRow | None:
        policies = self._state.policies.get(row.facts.facility)
        faulty = self._state.faults_of(row.facts.facility, row.facts.camera)
        overturned = self._state.is_overturned(row.facts.facility, row.facts.sha256)
        if self._state.serving is None or not policies or faulty or overturned:
            return None
        for twin in twins:
            finding, end = twin.finding, twin.end
            if (
                twin.facts.camera == row.facts.camera
                and end is not None
                and end.outcome.state is ImageState.DECIDED
                and end.outcome.reason not in (UNAVAILABLE, CAMERA_FAULT, LOOK_FAILED)
                and end.outcome.policy_version == policies[-1].version
                and isinstance(finding, Inspected)
                and (finding.model, finding.model_sha256) == self._state.serving
            ):
                return twin
        return None

    def _reuse(self, row: ImageRow, source: ImageRow) -> Verdict | None:
        assert source.end is not None  # noqa: S101 (what `_reusable` looked for)
        row.prepared, row.finding = source.prepared, source.finding
        # No alert: the one of the first image stands for the same bytes.
        self._state.end(row, replace(source.end.outcome, alerts=()), source.facts.image_id)
        return source.end.outcome.verdict


def _twins(one: NewImage, other: NewImage) -> bool:
    return (one.facility, one.sha256) == (other.facility, other.sha256)
