"""What people see of cameras."""

import re

import pytest

from framegate.kernel.ids import CameraId
from framegate.kernel.people import Role
from tests.support.pictures import jpeg
from tests.unit.ingest.fakes import HALL, OTHER_HALL
from tests.unit.ingest.test_content import the_only_id, uploaded
from tests.unit.ingest.test_reading import decide

from .fakes import PeopleBox

pytestmark = pytest.mark.anyio


async def shown(box: PeopleBox, path: str, role: Role = Role.ADMIN, status: int = 200) -> str:
    if box.store.people.find_person("anna") is None:
        box.add_person("anna", role)
    return await box.see(path, status=status)


def confirmed(box: PeopleBox, name: str = "dock-3") -> None:
    box.store.cameras.confirm_camera(HALL, CameraId(name), "lead")


async def test_cameras_in_trouble_are_listed_first(box: PeopleBox) -> None:
    for name in ("a", "b", "c"):
        confirmed(box, name)
    box.store.camera_healths.suspend(HALL, CameraId("b"), "It was hit.", "lead")
    page = await shown(box, "/cameras")
    assert re.findall(rf'href="/cameras/{HALL}/(\w)"', page) == ["b", "a", "c"]
    assert "suspended" in page


async def test_who_may_can_confirm_a_camera_that_registered_itself(box: PeopleBox) -> None:
    await uploaded(box, jpeg(1))
    assert 'data-api="POST /v1/cameras"' in await shown(box, "/cameras")


async def test_a_viewer_is_offered_nothing(box: PeopleBox) -> None:
    await uploaded(box, jpeg(1))
    (camera,) = box.store.cameras.cameras()
    for path in ("/cameras", f"/cameras/{HALL}/{camera.id}"):
        assert "data-api" not in await shown(box, path, Role.VIEWER)


async def test_a_camera_shows_what_it_sent_and_how_that_ended(box: PeopleBox) -> None:
    image = await uploaded(box, jpeg(1))
    decide(box, the_only_id(box), dent=0.9)
    (camera,) = box.store.cameras.cameras()
    page = await shown(box, f"/cameras/{HALL}/{camera.id}")
    assert f"/inspections/{image}" in page
    assert "Nobody has confirmed this camera" in page


async def test_a_camera_that_is_suspended_says_so_and_can_be_let_go(box: PeopleBox) -> None:
    confirmed(box)
    page = await shown(box, f"/cameras/{HALL}/dock-3")
    assert "It is well" in page
    assert f'data-api="POST /v1/cameras/dock-3/suspend?facility={HALL}"' in page
    box.store.camera_healths.suspend(HALL, CameraId("dock-3"), "It was hit.", "lead")
    page = await shown(box, f"/cameras/{HALL}/dock-3")
    assert "cannot be believed" in page
    assert f'data-api="POST /v1/cameras/dock-3/resume?facility={HALL}"' in page
    assert "/suspend" not in page


async def test_cameras_of_other_facilities_are_not_there(box: PeopleBox) -> None:
    box.store.cameras.confirm_camera(OTHER_HALL, CameraId("theirs"), "lead")
    assert "theirs" not in await shown(box, "/cameras")
    for path in (f"/cameras/{OTHER_HALL}/theirs", f"/cameras/{HALL}/theirs", "/cameras/nowhere/x"):
        await shown(box, path, status=404)
