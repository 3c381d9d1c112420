"""From received bytes to a recorded image, in one visit to a worker thread."""

import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime

from framegate.ingest.acceptor import Acceptor, Done
from framegate.ingest.parameters import UploadParameters
from framegate.ingest.sink import Sink, no_storage
from framegate.kernel.blobkeys import blob_key
from framegate.kernel.errors import DependencyUnavailable
from framegate.kernel.ids import FacilityId, new_image_id
from framegate.kernel.imagefile import ImageHeader, ImageRefused, Limits, inspect_file
from framegate.kernel.messages import FrameSubmitted
from framegate.kernel.states import ImageState, Lane
from framegate.observability.logs import get_log
from framegate.observability.tracing import Tracing, UploadTrace
from framegate.pipeline import queue_name
from framegate.ports.blobs import Blobs
from framegate.ports.store import Accepted, NewImage
from framegate.web.problems import Problem

_log = get_log(stage="ingest")


@dataclass(frozen=True, slots=True)
class Upload:
    """All that is known of an upload beside its bytes."""

    facility: FacilityId
    key_id: str
    parameters: UploadParameters
    declared: str | None
    idempotency_key: str | None
    expected_sha256: tuple[bytes, ...]
    received_at: datetime
    traced: UploadTrace = field(default_factory=lambda: UploadTrace(Tracing()))


class Storing:
    """Every method blocks; called from worker threads."""

    def __init__(self, blobs: Blobs, acceptor: Acceptor, limits: Limits, min_free_bytes: int) -> None:
        self._blobs, self._acceptor = blobs, acceptor
        self._limits, self._min_free_bytes = limits, min_free_bytes

    def store(self, upload: Upload, sink: Sink, done: Done) -> None:
        """Checks, makes the original durable, then records it; `done` hears of the result or of the error."""
        upload.traced.storing()
        try:
            image = self._make_durable(upload, sink)
        except ImageRefused as refused:
            done(Problem(refused.slug, refused.detail))
        except Exception as error:  # whatever it is, it must reach the request that waits
            done(error)
        else:
            upload.traced.durable()
            self._acceptor.submit(image, lambda answer: self._recorded(image, answer, done))

    def _recorded(self, image: NewImage, answer: Accepted | BaseException, done: Done) -> None:
        """After an error the original stays: the transaction may have been committed all the same."""
        done(answer)
        if isinstance(answer, Accepted) and (answer.replayed or answer.conflict):
            forget_original(self._blobs, image.blob_key)

    def _make_durable(self, upload: Upload, sink: Sink) -> NewImage:
        try:
            with sink.content() as data:
                header = inspect_file(data, upload.declared, self._limits)
                digest = sink.sha256()
                if any(expected != digest for expected in upload.expected_sha256):
                    raise Problem("digest-mismatch")
                self._check_space(len(data))
                image = _new_image(upload, header, digest.hex(), len(data))
                if isinstance(data, bytes):
                    self._blobs.put(image.blob_key, data)
            if sink.path is not None:
                self._blobs.adopt(image.blob_key, sink.path)
        except (DependencyUnavailable, OSError) as error:
            raise no_storage() from error
        return image

    def _check_space(self, needed: int) -> None:
        free = self._blobs.free_bytes()
        if free is not None and free - needed < self._min_free_bytes:
            raise no_storage()


def _new_image(upload: Upload, header: ImageHeader, sha256: str, size: int) -> NewImage:
    image_id = new_image_id()
    parameters = upload.parameters
    return NewImage(
        facility=upload.facility,
        image_id=image_id,
        camera=parameters.camera,
        lane=parameters.lane,
        blob_key=blob_key("originals", upload.facility, image_id, header.media_type, upload.received_at),
        media_type=header.media_type.value,
        sha256=sha256,
        size_bytes=size,
        width=header.width,
        height=header.height,
        orientation=header.orientation,
        flags=header.flags,
        captured_at=parameters.captured_at,
        metadata=parameters.metadata,
        key_id=upload.key_id,
        idempotency_key=upload.idempotency_key,
        request_hash=_request_hash(upload.facility, parameters, sha256),
        trace=upload.traced.begin(image_id, upload.facility, parameters.camera),
    )


def first_queue(accepted: Accepted, lane: Lane) -> str:
    """Where the image's first message waits; empty: it has ended already."""
    return queue_name(FrameSubmitted, lane) if accepted.state is ImageState.RECEIVED else ""


def forget_original(blobs: Blobs, key: str) -> None:
    """Removes the original of an upload that turned out to be known already."""
    try:
        blobs.delete(key)
    except DependencyUnavailable as error:
        # It is swept later by its age.
        _log.warning("a superfluous original stays", action="blob_delete_failed", error=str(error))


def _request_hash(facility: FacilityId, parameters: UploadParameters, sha256: str) -> str:
    captured_at = parameters.captured_at.isoformat() if parameters.captured_at else None
    parts = [facility, parameters.camera, captured_at, parameters.lane, sorted(parameters.metadata.items()), sha256]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
