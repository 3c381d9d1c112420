"""Objects in buckets become images, once each."""

import hashlib
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from framegate.adapters.memory import FakeClock, MemoryBlobs, MemoryObjects, MemoryStore
from framegate.ingest.objects import EVENT_KEY, Bucket, ObjectIntake, upload_key
from framegate.kernel.bucket_events import ObjectCreated, Skipped
from framegate.kernel.ids import CameraId, FacilityId, ImageId, new_image_id
from framegate.kernel.imagefile import Limits
from framegate.kernel.states import Lane
from framegate.kernel.unchecked import refusal_of
from framegate.ports.store import Accepted, NewImage
from framegate.ports.uploads import NewUpload
from tests.support.pictures import jpeg

from .fakes import NOW

JPEG = jpeg(1)
YARD = FacilityId("yard")
FIRST = ObjectCreated("photos", "hall/dock-3/a b.jpg", None, len(JPEG), "e1", "S1")


@dataclass
class Place:
    """An intake over memory; `own` is the blob store's bucket, with a prefix."""

    store: MemoryStore
    objects: MemoryObjects
    blobs: MemoryBlobs
    intake: ObjectIntake

    def take(self, event: ObjectCreated) -> Accepted:
        result = self.intake.take(event)
        assert isinstance(result, Accepted), result
        return result

    def skip(self, event: ObjectCreated) -> str:
        result = self.intake.take(event)
        assert isinstance(result, Skipped), result
        assert result.what == f"{event.bucket}/{event.key}"
        return result.reason

    def put(self, event: ObjectCreated, data: bytes = JPEG) -> ObjectCreated:
        self.objects.store(event.bucket, event.key, data, event.version or "1")
        return event

    @property
    def images(self) -> list[NewImage]:
        return [row.new for row in self.store.state.images.values()]

    @property
    def originals(self) -> list[bytes]:
        return [data for _, data, _ in self.blobs._blobs.values()]


@pytest.fixture
def place() -> Place:
    clock = FakeClock(NOW)
    store, objects, blobs = MemoryStore(clock), MemoryObjects(clock, "own"), MemoryBlobs(clock)
    own = Bucket("own", "site-1/")
    intake = ObjectIntake(objects, store.uploads, store.intake, blobs, clock, own=own, facility=YARD)
    return Place(store, objects, blobs, intake)


def new_upload(data: bytes = JPEG) -> NewUpload:
    return NewUpload(
        new_image_id(), FacilityId("hall-1"), "key-1", CameraId("dock-9"), Lane.BULK, None, {"dock": "D1"},
        "image/jpeg", hashlib.sha256(data).hexdigest(), len(data), NOW, NOW + timedelta(hours=1),
    )  # fmt: skip


# --- objects that nobody announced -------------------------------------------------------------------------------------


def test_a_strangers_object_becomes_an_image_that_says_where_it_came_from(place: Place) -> None:
    accepted = place.take(place.put(FIRST))
    (image,) = place.images
    assert (image.image_id, image.facility, image.lane) == (accepted.image_id, YARD, Lane.LIVE)
    assert (image.camera, image.key_id) == ("dock-3", EVENT_KEY)
    assert image.metadata == {"meta.bucket": "photos", "meta.key": "hall/dock-3/a b.jpg"}
    assert (image.media_type, image.width, image.height) == ("image/jpeg", 320, 240)
    assert place.blobs.get(image.blob_key) == JPEG
    assert image.blob_key == f"originals/yard/2026/11/23/{image.image_id}.jpg"


@pytest.mark.parametrize(
    ("key", "camera"),
    [
        ("a.jpg", "photos"),
        ("dock-1/a.jpg", "dock-1"),
        ("x/y z/a.jpg", "photos"),
        ("x//a.jpg", "photos"),
        ("/a", "photos"),
    ],
)
def test_the_last_folder_names_the_camera_and_else_the_bucket_does(place: Place, key: str, camera: str) -> None:
    place.take(place.put(replace(FIRST, key=key)))
    assert place.images[0].camera == camera


def test_a_key_that_cannot_be_shown_is_not_kept_with_the_image(place: Place) -> None:
    place.take(place.put(replace(FIRST, key="dock\u202e/a.jpg")))
    assert place.images[0].metadata == {"meta.bucket": "photos"}


@pytest.mark.parametrize(
    "event", [FIRST, replace(FIRST, version="v"), replace(FIRST, etag=None), replace(FIRST, etag=None, sequencer=None)]
)
def test_the_same_event_again_is_the_same_image_and_leaves_nothing_behind(place: Place, event: ObjectCreated) -> None:
    first, again = place.take(place.put(event)), place.take(event)
    assert (first.replayed, again.replayed) == (False, True)
    assert again.image_id == first.image_id
    assert len(place.images) == len(place.originals) == 1


def test_the_same_event_over_another_route_is_the_same_image_where_there_are_versions(place: Place) -> None:
    event = place.put(replace(FIRST, version="v"))
    assert place.take(replace(event, sequencer="other")).image_id == place.take(event).image_id


@pytest.mark.parametrize(
    "change", [{"version": "v2"}, {"etag": "e2"}, {"sequencer": "S2"}, {"key": "dock-3/b.jpg"}, {"bucket": "others"}]
)
def test_another_object_is_another_image_also_with_the_same_bytes(place: Place, change: dict[str, str]) -> None:
    first = place.take(place.put(FIRST))
    other = place.take(place.put(replace(FIRST, **change)))  # type: ignore[arg-type]
    assert not other.replayed
    assert other.duplicate_of == first.image_id


def test_without_any_mark_an_object_that_was_replaced_is_told_by_its_bytes(place: Place) -> None:
    bare = replace(FIRST, etag=None, sequencer=None)
    assert place.take(place.put(bare)).image_id != place.take(place.put(bare, jpeg(2))).image_id


def test_an_event_that_comes_again_after_its_object_was_replaced_is_known(place: Place) -> None:
    first = place.take(place.put(FIRST))
    place.put(FIRST, jpeg(2))
    assert place.take(FIRST).image_id == first.image_id
    assert place.originals == [JPEG]


def test_the_version_that_the_event_names_is_read_and_not_the_newest(place: Place) -> None:
    old = place.put(replace(FIRST, version="v1"))
    place.put(replace(FIRST, version="v2"), jpeg(2))
    place.take(old)
    assert place.originals == [JPEG]


def test_an_object_that_is_gone_is_skipped(place: Place) -> None:
    assert place.skip(FIRST) == "missing"
    assert place.images == []


def test_records_with_nothing_to_do_pass_through(place: Place) -> None:
    skipped = Skipped("deleted", "x")
    assert place.intake.take(skipped) is skipped


# --- what is no image --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"text", JPEG[:-100]])
def test_what_is_no_image_is_recorded_unchecked_with_its_bytes(place: Place, data: bytes) -> None:
    place.take(place.put(FIRST, data))
    (image,) = place.images
    assert (image.media_type, image.width, image.height) == ("application/octet-stream", 0, 0)
    assert (image.sha256, image.size_bytes) == (hashlib.sha256(data).hexdigest(), len(data))
    assert place.originals == [data]
    assert image.blob_key.endswith(".bin")
    assert refusal_of(image.media_type, data) is not None


@pytest.mark.parametrize(
    ("size", "said"), [(5000, "5000 bytes"), (None, "more than 1000 bytes"), (3, "more than 1000")]
)
def test_of_what_is_too_large_only_the_reason_is_kept(place: Place, size: int | None, said: str) -> None:
    place.intake._limits = Limits(max_bytes=1000)
    place.take(place.put(replace(FIRST, size=size), b"x" * 5000))
    (image,), (original,) = place.images, place.originals
    assert (image.media_type, image.width, image.size_bytes) == ("application/problem+json", 0, len(original))
    assert image.sha256 == hashlib.sha256(original).hexdigest()
    refused = refusal_of(image.media_type, original)
    assert refused is not None
    assert refused.reason == "payload-too-large"
    assert said in refused.detail
    assert "not copied" in refused.detail


# --- our own bucket ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["originals", "prepared", "models"])
def test_what_framegate_stored_itself_is_not_taken_in_again(place: Place, folder: str) -> None:
    assert place.skip(place.put(replace(FIRST, bucket="own", key=f"site-1/{folder}/x.jpg"))) == "own-object"
    place.take(place.put(replace(FIRST, bucket="photos", key=f"site-1/{folder}/x.jpg")))
    place.take(place.put(replace(FIRST, bucket="own", key=f"site-2/{folder}/x.jpg")))


def announced(place: Place, data: bytes = JPEG) -> tuple[NewUpload, ObjectCreated]:
    upload = new_upload()
    place.intake.announce([upload])
    return upload, place.put(replace(FIRST, bucket="own", key=f"site-1/{upload_key(upload)}"), data)


def test_an_announced_object_is_the_announced_image(place: Place) -> None:
    upload, event = announced(place)
    assert place.take(event).image_id == upload.upload_id
    (image,) = place.images
    assert (image.facility, image.camera, image.lane) == (upload.facility, upload.camera, Lane.BULK)
    assert (image.key_id, image.metadata) == ("key-1", {"dock": "D1"})
    assert place.blobs.get(image.blob_key) == JPEG


def test_an_announced_object_that_is_told_of_twice_is_one_image_whose_original_stays(place: Place) -> None:
    upload, event = announced(place)
    place.take(event)
    again = place.take(replace(event, sequencer="S2"))
    assert (again.image_id, again.replayed) == (upload.upload_id, True)
    assert place.originals == [JPEG]
    assert place.blobs.get(place.images[0].blob_key) == JPEG


@pytest.mark.parametrize("data", [jpeg(2), JPEG[:-1], JPEG + b"x"])
def test_other_bytes_than_announced_are_an_image_that_will_be_rejected(place: Place, data: bytes) -> None:
    upload, event = announced(place, data)
    assert place.take(event).image_id == upload.upload_id
    refused = refusal_of(place.images[0].media_type, place.originals[0])
    assert refused is not None
    assert refused.reason == "digest-mismatch"
    assert upload.sha256 in refused.detail


@pytest.mark.parametrize("change", ["bucket", "prefix", "folder", "id"])
def test_an_object_beside_the_announced_key_does_not_take_its_id(place: Place, change: str) -> None:
    upload, event = announced(place)
    key = {
        "bucket": event.key,
        "prefix": upload_key(upload),
        "folder": f"site-1/uploads/other/{upload.upload_id}.jpg",
        "id": event.key.replace(str(upload.upload_id), "-" * 36),
    }[change]
    other = replace(event, key=key, bucket="photos" if change == "bucket" else "own")
    assert place.take(place.put(other)).image_id != ImageId(upload.upload_id)
    assert place.images[0].key_id == EVENT_KEY


def test_a_bucket_without_a_name_is_nobodys() -> None:
    assert Bucket().key_of(replace(FIRST, bucket="")) is None
