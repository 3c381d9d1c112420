"""What people see of incidents."""

import re
from uuid import UUID

import pytest

from framegate.kernel.incidents import IncidentState
from framegate.kernel.people import Role
from tests.support.pictures import jpeg
from tests.unit.ingest.fakes import HALL, OTHER_HALL
from tests.unit.ingest.test_content import the_only_id, uploaded
from tests.unit.ingest.test_incidents import opened
from tests.unit.ingest.test_reading import decide

from .fakes import PeopleBox

pytestmark = pytest.mark.anyio
HOSTILE = '<img src=x onerror="alert(1)">'


async def shown(box: PeopleBox, path: str, role: Role = Role.REVIEWER) -> str:
    box.add_person("anna", role)
    return await box.see(path)


async def test_what_nobody_has_in_hand_is_listed_before_what_somebody_has(box: PeopleBox) -> None:
    taken, waiting = opened(box, subject="dock/taken"), opened(box, subject="dock/waiting")
    box.store.incidents.acknowledge(frozenset({HALL}), UUID(taken), "ben", box.deps.announce)
    page = await shown(box, "/incidents")
    assert re.findall(r'href="/incidents/([0-9a-f-]{36})"', page) == [waiting, taken]
    assert page.index("nobody has it yet") < page.index("in hand: ben")


async def test_only_who_may_is_offered_to_take_care(box: PeopleBox) -> None:
    incident = opened(box)
    page = await shown(box, "/incidents", Role.VIEWER)
    assert incident in page
    assert "data-api" not in page


async def test_an_incident_shows_what_happened_and_its_picture(box: PeopleBox) -> None:
    image = await uploaded(box, jpeg(1))
    decide(box, the_only_id(box), dent=0.9)
    incident = opened(box, image=the_only_id(box))
    page = await shown(box, f"/incidents/{incident}")
    assert f"/v1/images/{image}/content?preview=small" in page
    assert f'data-api="POST /v1/incidents/{incident}/acknowledge"' in page
    assert "opened" in page


async def test_one_that_is_over_is_listed_as_such_and_offers_nothing(box: PeopleBox) -> None:
    opened(box)
    (incident,) = box.store.incidents.incidents(frozenset({HALL}), frozenset(IncidentState), 9)
    box.store.incidents.resolve(frozenset({HALL}), incident.incident_id, "ben", box.deps.announce)
    page = await shown(box, "/incidents?show=over")
    assert str(incident.incident_id) in page
    assert "data-api" not in page


async def test_nothing_to_do_says_so(box: PeopleBox) -> None:
    assert "Nothing that needs you" in await shown(box, "/incidents")


async def test_another_facilitys_incident_is_neither_listed_nor_there(box: PeopleBox) -> None:
    foreign = opened(box, facility=OTHER_HALL)
    assert foreign not in await shown(box, "/incidents")
    await box.see(f"/incidents/{foreign}", status=404)
    await box.see("/incidents/nonsense", status=404)
    await box.see("/incidents?show=everything", status=422)


@pytest.mark.parametrize("one", [False, True])
async def test_what_cameras_and_rules_are_called_is_text(box: PeopleBox, one: bool) -> None:
    incident = opened(box, subject=HOSTILE)
    page = await shown(box, f"/incidents/{incident}" if one else "/incidents")
    assert "<img src=x" not in page
    assert "&lt;img src=x" in page
