"""Announced uploads."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from framegate.kernel.ids import CameraId, FacilityId, new_image_id
from framegate.kernel.states import Lane
from framegate.ports.uploads import NewUpload

from .examples import CAMERA, FACILITY, OTHER_FACILITY, accept
from .harness import Harness

NOW = datetime(2026, 11, 23, 12, 0, 0, 123456, tzinfo=UTC)


def new_upload() -> NewUpload:
    return NewUpload(
        upload_id=new_image_id(),
        facility=FACILITY,
        key_id="seed",
        camera=CAMERA,
        lane=Lane.BULK,
        captured_at=NOW - timedelta(minutes=1),
        metadata={"shipment": "S-1", "meta.note": "grün"},
        media_type="image/jpeg",
        sha256="ab" * 32,
        size_bytes=2**33,
        created_at=NOW,
        expires_at=NOW + timedelta(hours=1),
    )


def test_what_was_announced_is_found_as_it_was_announced(harness: Harness) -> None:
    one = new_upload()
    other = replace(new_upload(), facility=OTHER_FACILITY, captured_at=None, metadata={}, lane=Lane.LIVE)
    harness.uploads.announce([one, other])
    assert harness.uploads.upload(one.upload_id) == one
    assert harness.uploads.upload(other.upload_id) == other


def test_what_nobody_announced_is_not_there(harness: Harness) -> None:
    harness.uploads.announce([])
    harness.uploads.announce([new_upload()])
    assert harness.uploads.upload(new_image_id()) is None


def test_an_announcement_is_not_an_image(harness: Harness) -> None:
    harness.uploads.announce([new_upload()])
    assert harness.upkeep.conservation().accepted == 0


def test_an_announced_id_keeps_its_first_announcement_and_the_others_are_recorded(harness: Harness) -> None:
    first, fresh = new_upload(), new_upload()
    harness.uploads.announce([first])
    harness.uploads.announce([replace(first, camera=CameraId("other")), fresh])
    assert harness.uploads.upload(first.upload_id) == first
    assert harness.uploads.upload(fresh.upload_id) == fresh


def test_images_of_a_facility_that_no_key_has_can_be_accepted_once_it_is_ensured(harness: Harness) -> None:
    yard = FacilityId("yard")
    for _ in range(2):
        harness.uploads.ensure_facility(yard)
    image = accept(harness.intake, facility=yard)
    assert harness.results.image(frozenset({yard}), image.image_id) is not None
    assert [camera.facility for camera in harness.cameras.cameras()] == [yard]
