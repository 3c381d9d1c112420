"""What admins see of people and keys."""

import pytest

from framegate.kernel.ids import FacilityId
from framegate.kernel.people import Role
from tests.unit.ingest.fakes import HALL, OTHER_HALL

from .fakes import PeopleBox

pytestmark = pytest.mark.anyio


async def shown(box: PeopleBox, path: str, *facilities: FacilityId) -> str:
    box.add_person("ada", Role.ADMIN, *facilities)
    return await box.see(path, "ada")


async def test_people_are_listed_with_their_state_and_what_can_be_done(box: PeopleBox) -> None:
    box.add_person("ben", Role.VIEWER)
    page = await shown(box, "/access")
    assert f'data-api="PUT /v1/people/ben/roles/{HALL}"' in page
    assert 'data-api="POST /v1/people/ben/disable"' in page
    assert 'data-api="POST /v1/people/ada/disable"' not in page  # nobody shuts themselves out
    box.store.people.disable("ben", box.clock.now(), "ada")
    page = await box.see("/access", "ada")
    assert 'data-api="POST /v1/people/ben/enable"' in page


async def test_people_and_keys_of_other_facilities_are_not_there(box: PeopleBox) -> None:
    box.add_person("theirs", Role.VIEWER, OTHER_HALL)
    box.add_key(OTHER_HALL, name="their-key")
    box.add_key(HALL, name="our-key")
    assert "theirs" not in await shown(box, "/access")
    page = await box.see("/access?show=keys", "ada")
    assert "our-key" in page
    assert "their-key" not in page


async def test_what_also_belongs_elsewhere_can_only_be_changed_here(box: PeopleBox) -> None:
    box.add_person("both", Role.VIEWER, HALL, OTHER_HALL)
    page = await shown(box, "/access")
    assert f'data-api="PUT /v1/people/both/roles/{HALL}"' in page
    assert OTHER_HALL not in page
    assert "/v1/people/both/disable" not in page


async def test_a_key_shows_no_secret_and_can_be_rotated_and_revoked(box: PeopleBox) -> None:
    text = box.add_key(HALL, name="dock-3")
    key_id, secret = text.split("_")[2:4]
    page = await shown(box, "/access?show=keys")
    assert f'data-api="POST /v1/keys/{key_id}/rotate"' in page
    assert f'data-api="DELETE /v1/keys/{key_id}"' in page
    assert secret not in page


async def test_names_of_keys_are_text(box: PeopleBox) -> None:
    box.add_key(HALL, name="<img src=x>")
    assert "<img src=x" not in await shown(box, "/access?show=keys")
