"""What people see of the endpoints of receivers."""

import pytest

from framegate.kernel.ids import FacilityId
from framegate.kernel.people import Role
from tests.unit.ingest.fakes import OTHER_HALL
from tests.unit.ingest.test_hooks import Manager

from .fakes import PeopleBox

pytestmark = pytest.mark.anyio


async def shown(box: PeopleBox, path: str, *facilities: FacilityId) -> str:
    box.add_person("anna", Role.OPERATOR, *facilities)
    return await box.see(path)


async def test_an_endpoint_is_listed_without_what_may_be_a_secret(box: PeopleBox) -> None:
    made = await Manager(box).add(target="https://receiver.example/in?token=hush")
    page = await shown(box, "/hooks")
    assert f"/hooks/{made['id']}" in page
    assert "receiver.example/in" in page
    assert "hush" not in page
    assert made["secret"] not in page


async def test_one_endpoint_has_its_state_and_what_can_be_done_with_it(box: PeopleBox) -> None:
    made = await Manager(box).add()
    page = await shown(box, f"/hooks/{made['id']}")
    for action in (
        f"POST /v1/hooks/{made['id']}/test",
        f"POST /v1/hooks/{made['id']}/rotate",
        f"DELETE /v1/hooks/{made['id']}",
    ):
        assert f'data-api="{action}"' in page
    assert f"POST /v1/hooks/{made['id']}/enable" not in page
    assert made["secret"] not in page


async def test_with_nobody_to_tell_the_page_says_what_a_hook_is_for(box: PeopleBox) -> None:
    assert "Nobody is told of incidents yet" in await shown(box, "/hooks")


async def test_another_facilitys_endpoint_is_neither_listed_nor_there(box: PeopleBox) -> None:
    made = await Manager(box).add()
    assert made["id"] not in await shown(box, "/hooks", OTHER_HALL)
    await box.see(f"/hooks/{made['id']}", status=404)
