"""From an object in a bucket to a recorded image. Everything here blocks."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from framegate.ingest.parameters import is_plain_text
from framegate.ingest.storing import first_queue, forget_original
from framegate.kernel.blobkeys import blob_key
from framegate.kernel.bucket_events import ObjectCreated, Skipped
from framegate.kernel.errors import BlobMissing
from framegate.kernel.ids import DEFAULT_FACILITY, CameraId, FacilityId, ImageId, is_name, new_image_id
from framegate.kernel.imagefile import ImageRefused, Limits, inspect_file
from framegate.kernel.states import Lane
from framegate.kernel.unchecked import REFUSAL, UNCHECKED, refusal_document
from framegate.observability.tracing import Kind, Tracing
from framegate.ports.blobs import Blobs
from framegate.ports.clock import Clock
from framegate.ports.objects import Objects, PresignedPost
from framegate.ports.store import Accepted, Intake, NewImage
from framegate.ports.uploads import NewUpload, Uploads
from framegate.web.problems import Problem

#: Stands where the API key would, for objects that nobody announced.
EVENT_KEY: Final = "bucket-event"
_OURS: Final = ("originals/", "prepared/", "models/")
_UPLOAD_KEY: Final = re.compile(r"uploads/.+/([0-9a-f-]{36})\.[a-z]+")
_LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where the blob store keeps things; an empty name: in no bucket."""

    name: str = ""
    prefix: str = ""  #: before every key

    def key_of(self, event: ObjectCreated) -> str | None:
        """The blob store's own key of the object; None where it is another's."""
        if not self.name or event.bucket != self.name or not event.key.startswith(self.prefix):
            return None
        return event.key.removeprefix(self.prefix)


@dataclass(frozen=True, slots=True)
class _Original:
    """What is stored, and what is recorded of it."""

    data: bytes
    media_type: str
    width: int = 0
    height: int = 0
    orientation: int = 1
    flags: tuple[str, ...] = ()


class ObjectIntake:
    """Announced uploads and what others put into buckets. Safe for use from several threads."""

    def __init__(
        self,
        objects: Objects,
        uploads: Uploads,
        intake: Intake,
        blobs: Blobs,
        clock: Clock,
        tracing: Tracing | None = None,
        *,
        own: Bucket = Bucket(),
        facility: FacilityId = DEFAULT_FACILITY,
        limits: Limits = _LIMITS,
    ) -> None:
        """`facility` is that of objects that nobody announced; without `tracing` nothing is recorded."""
        self._tracing = tracing or Tracing()
        self._objects, self._uploads, self._intake, self._blobs = objects, uploads, intake, blobs
        self._clock, self._own, self._facility, self._limits = clock, own, facility, limits
        self._facility_exists = False

    def announce(self, uploads: Sequence[NewUpload]) -> list[PresignedPost]:
        """One form for each; what they announce is durable when it returns."""
        posts = [
            self._objects.presign_post(
                upload_key(upload),
                media_type=upload.media_type,
                size_bytes=upload.size_bytes,
                sha256=bytes.fromhex(upload.sha256),
                expires_in=upload.expires_at - upload.created_at,
            )
            for upload in uploads
        ]
        self._uploads.announce(uploads)
        return posts

    def announced(self, upload_id: ImageId) -> NewUpload | None:
        """Also one that has expired."""
        return self._uploads.upload(upload_id)

    def complete(self, upload: NewUpload) -> Accepted:
        """Raises `Problem` when the object is not there, or is another than announced: then it is removed."""
        key = upload_key(upload)
        try:
            data = self._objects.read("", key, None, self._limits.max_bytes)
        except BlobMissing:
            raise Problem("upload-missing") from None
        if not _is_announced(upload, data):
            self._objects.remove("", key)
            raise Problem("digest-mismatch")
        return self._take_upload(upload, data)

    def take(self, record: ObjectCreated | Skipped) -> Accepted | Skipped:
        """Durable when it returns; the same event again is `replayed`. What is no image is accepted and ends as rejected."""
        if isinstance(record, Skipped):
            return record
        what = f"{record.bucket}/{record.key}"
        own_key = self._own.key_of(record)
        if own_key is not None and own_key.startswith(_OURS):
            return Skipped("own-object", what)
        upload = self._upload_at(own_key)
        try:
            data = self._objects.read(record.bucket, record.key, record.version, self._limits.max_bytes)
        except BlobMissing:
            return Skipped("missing", what)
        return self._take_stranger(record, data) if upload is None else self._take_upload(upload, data)

    def _upload_at(self, own_key: str | None) -> NewUpload | None:
        found = _UPLOAD_KEY.fullmatch(own_key or "")
        try:
            upload = self._uploads.upload(ImageId(UUID(found[1]))) if found else None
        except ValueError:  # 36 characters, but no UUID
            return None
        # Who merely knows an id cannot put other bytes under another key in its place.
        return upload if upload is not None and upload_key(upload) == own_key else None

    def _take_upload(self, upload: NewUpload, data: bytes) -> Accepted:
        original = self._inspect(data, None) if _is_announced(upload, data) else _mismatch(upload)
        # A tab: no Idempotency-Key of a client can be the same.
        identity = f"upload\t{upload.upload_id}"
        now = self._clock.now()
        return self._record(
            original.data,
            NewImage(
                facility=upload.facility,
                image_id=upload.upload_id,
                camera=upload.camera,
                lane=upload.lane,
                blob_key=blob_key("originals", upload.facility, new_image_id(), original.media_type, now),
                **_recorded(original),
                captured_at=upload.captured_at,
                metadata=upload.metadata,
                key_id=upload.key_id,
                idempotency_key=identity,
                request_hash=hashlib.sha256(identity.encode()).hexdigest(),
            ),
        )

    def _take_stranger(self, event: ObjectCreated, data: bytes) -> Accepted:
        if not self._facility_exists:
            self._uploads.ensure_facility(self._facility)
            self._facility_exists = True
        original, image_id, identity = self._inspect(data, event.size), new_image_id(), _identity(event, data)
        where = {"meta.bucket": event.bucket, "meta.key": event.key}
        return self._record(
            original.data,
            NewImage(
                facility=self._facility,
                image_id=image_id,
                camera=_camera(event),
                lane=Lane.LIVE,
                blob_key=blob_key("originals", self._facility, image_id, original.media_type, self._clock.now()),
                **_recorded(original),
                captured_at=None,
                metadata={name: text for name, text in where.items() if is_plain_text(text)},
                key_id=EVENT_KEY,
                idempotency_key=identity,
                request_hash=identity,
            ),
        )

    def _inspect(self, data: bytes, size: int | None) -> _Original:
        """The bytes decide, not the type that somebody declared."""
        most = self._limits.max_bytes
        if len(data) > most:
            has = f"{size} bytes" if size is not None and size > most else f"more than {most} bytes"
            detail = f"The object has {has}; at most {most} are taken. They were not copied from the bucket."
            return _Original(refusal_document("payload-too-large", detail), REFUSAL)
        try:
            header = inspect_file(data, None, self._limits)
        except ImageRefused:
            return _Original(data, UNCHECKED)
        return _Original(data, header.media_type, header.width, header.height, header.orientation, header.flags)

    def _record(self, data: bytes, image: NewImage) -> Accepted:
        traced = self._tracing.upload("")
        image = replace(image, trace=traced.begin(image.image_id, image.facility, image.camera))
        self._blobs.put(image.blob_key, data)
        traced.durable()
        (accepted,) = self._intake.accept([image])
        if accepted.replayed:
            forget_original(self._blobs, image.blob_key)
        else:
            traced.recorded("take object", Kind.INTERNAL, first_queue(accepted, image.lane))
        return accepted


def upload_key(upload: NewUpload) -> str:
    """Where its object comes to lie in the blob store's bucket."""
    return blob_key("uploads", upload.facility, upload.upload_id, upload.media_type, upload.created_at)


def _is_announced(upload: NewUpload, data: bytes) -> bool:
    return (upload.size_bytes, upload.sha256) == (len(data), hashlib.sha256(data).hexdigest())


def _mismatch(upload: NewUpload) -> _Original:
    detail = (
        f"The object is not what was announced: {upload.size_bytes} bytes with the SHA-256 {upload.sha256}. "
        "Its bytes were not copied from the bucket."
    )
    return _Original(refusal_document("digest-mismatch", detail), REFUSAL)


def _recorded(original: _Original) -> dict[str, Any]:
    return {
        "media_type": original.media_type,
        "sha256": hashlib.sha256(original.data).hexdigest(),
        "size_bytes": len(original.data),
        "width": original.width,
        "height": original.height,
        "orientation": original.orientation,
        "flags": original.flags,
    }


def _camera(event: ObjectCreated) -> CameraId:
    folder = event.key.rpartition("/")[0].rpartition("/")[2]
    return CameraId(folder if is_name(folder) else event.bucket)


def _identity(event: ObjectCreated, data: bytes) -> str:
    """The same for every event about the same bytes under the same key, and for no other."""
    if event.version:
        marks = [event.version, event.etag]
    elif event.etag or event.sequencer:
        marks = [event.etag, event.sequencer]
    else:
        marks = [hashlib.sha256(data).hexdigest()]
    return hashlib.sha256(json.dumps([event.bucket, event.key, *marks]).encode()).hexdigest()
