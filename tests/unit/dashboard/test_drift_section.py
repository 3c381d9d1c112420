"""What people see of drift."""

import re
from pathlib import Path

import pytest

from framegate.dashboard.drifting import HIGH, WIDE
from framegate.kernel.drift_features import Kind
from framegate.kernel.drift_state import Subject
from framegate.kernel.ids import CameraId
from framegate.kernel.people import Role
from tests.contracts.drifting import LIMITS, drifts, sees
from tests.contracts.examples import MODEL
from tests.support.policies import register_model
from tests.unit.ingest.fakes import HALL, OTHER_HALL

from .fakes import PeopleBox

pytestmark = pytest.mark.anyio
DOCK = CameraId("dock-3")
CAMERA_PAGE = f"/cameras/{HALL}/{DOCK}"


@pytest.fixture
def box(tmp_path: Path):  # type: ignore[no-untyped-def]
    made = PeopleBox(tmp_path, page_limits=LIMITS)
    yield made
    made.close()


async def shown(box: PeopleBox, path: str = CAMERA_PAGE, role: Role = Role.ADMIN) -> str:
    if box.store.people.find_person("anna") is None:
        box.add_person("anna", role)
    return await box.see(path)


async def test_a_camera_that_sent_nothing_says_when_learning_begins(box: PeopleBox) -> None:
    box.store.cameras.confirm_camera(HALL, DOCK, "lead")
    assert "learnt from its first one on" in await shown(box)


async def test_while_it_learns_it_says_how_much_is_there(box: PeopleBox) -> None:
    sees(box.store, 40, camera=DOCK, facility=HALL)
    box.store.drifts.follow(LIMITS, 1000)
    page = await shown(box)
    assert "nothing is compared yet: <strong>50 %</strong>" in page
    assert "40 of 80 images" in page


async def test_what_is_as_usual_shows_its_measures(box: PeopleBox) -> None:
    sees(box.store, 100, camera=DOCK, facility=HALL)
    box.store.drifts.follow(LIMITS, 1000)
    page = await shown(box)
    assert "Nothing has left what was usual" in page
    assert "It drifts" not in page
    assert re.search(r">brightness</th>", page)
    assert "10 images" in page
    assert "10 boxes" not in page, "so many images have 15 boxes"
    assert "15 boxes" in page


async def test_what_drifts_says_so_in_words_and_leads_to_the_images(box: PeopleBox) -> None:
    drifts(box.store, camera=DOCK, facility=HALL)
    (finding,) = box.store.drifts.findings(frozenset({HALL}))
    page = await shown(box)
    assert "<strong>It drifts</strong>: brightness" in page
    assert "100 % of 10 images are at “below" in page
    links = re.findall(r'href="/inspections/([0-9a-f-]{36})"', page)
    assert {str(image) for image in finding.moved} <= set(links)
    points = re.findall(r'<polyline class="line" points="([^"]+)"', page)
    for x, y in (map(float, point.split(",")) for line in points for point in line.split()):
        assert 0 <= x <= WIDE
        assert 0 <= y <= HIGH


async def test_lists_mark_what_drifts_and_put_it_before_what_does_not(box: PeopleBox) -> None:
    box.store.cameras.confirm_camera(HALL, CameraId("a"), "lead")
    drifts(box.store, camera=DOCK, facility=HALL)
    page = await shown(box, "/cameras")
    assert list(dict.fromkeys(re.findall(rf'href="/cameras/{HALL}/([\w-]+)', page))) == [DOCK, "a"]
    assert f"{CAMERA_PAGE}#drift-{HALL}" in page


async def test_a_model_has_a_section_for_each_facility_of_who_looks(box: PeopleBox) -> None:
    register_model(box.store.registry, MODEL, ["carton"])
    for facility in (HALL, OTHER_HALL):
        sees(box.store, 40, camera=DOCK, facility=facility)
    box.store.drifts.follow(LIMITS, 1000)
    page = await shown(box, f"/models/{MODEL}")
    assert f'id="drift-{HALL}"' in page
    assert OTHER_HALL not in page
    box.store.people.set_role("anna", OTHER_HALL, Role.VIEWER, "lead")
    page = await shown(box, f"/models/{MODEL}")
    assert "Drift at hall-1" in page
    assert "Drift at hall-2" in page


async def test_a_model_that_drifts_is_marked_where_somebody_may_see_it(
    box: PeopleBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    register_model(box.store.registry, MODEL, ["carton"])
    sees(box.store, 80, camera=DOCK, facility=HALL)
    sees(box.store, 20, camera=DOCK, facility=HALL, name="hole")
    box.store.drifts.follow(LIMITS, 1000)
    assert box.store.drifts.findings(frozenset({HALL}), subject=Subject(HALL, Kind.MODEL, MODEL))
    assert f"/models/{MODEL}#drift-{HALL}" in await shown(box, "/models")
    assert "It drifts at hall-1" in await shown(box, f"/models/{MODEL}")
    box.add_person("bo", Role.ADMIN, OTHER_HALL)
    assert "drifts" not in await box.see("/models", "bo")


async def test_only_an_admin_is_offered_to_have_it_learnt_anew(box: PeopleBox) -> None:
    drifts(box.store, camera=DOCK, facility=HALL)
    form = f'data-api="POST /v1/drift/camera/{DOCK}/freeze?facility={HALL}"'
    assert form in await shown(box)
    box.add_person("vera", Role.VIEWER, HALL)
    assert "data-api" not in await box.see(CAMERA_PAGE, "vera")


async def test_what_is_over_is_still_told(box: PeopleBox) -> None:
    drifts(box.store, camera=DOCK, facility=HALL)
    assert box.store.drifts.freeze(Subject(HALL, Kind.CAMERA, DOCK), "lead")
    page = await shown(box)
    assert "It drifts" not in page
    assert "is over (1)" in page
