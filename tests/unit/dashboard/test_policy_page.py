"""What people see of policies."""

from typing import Any

import pytest

from framegate.kernel.ids import FacilityId
from framegate.kernel.people import Role
from tests.support.policies import DOCUMENT
from tests.unit.ingest.fakes import HALL, OTHER_HALL

from .fakes import PeopleBox

pytestmark = pytest.mark.anyio
HOSTILE = "<img src=x>"
STRICTER = {**DOCUMENT, "classes": {**DOCUMENT["classes"], "hole": {"review": 0.1, "fail": 0.6}}}


async def shown(box: PeopleBox, query: str = "", role: Role = Role.ADMIN, *halls: FacilityId) -> str:
    box.add_person("anna", role, *(halls or (HALL,)))
    return await box.see(f"/policy{query}")


def hold(box: PeopleBox, document: dict[str, Any], facility: FacilityId = HALL, by: str = "lead") -> None:
    box.store.policies.add_policy(facility, document, by)


async def test_a_facility_without_a_policy_says_how_it_gets_one(box: PeopleBox) -> None:
    assert "no policy yet" in await shown(box)


async def test_rules_are_told_in_words_with_what_is_otherwise_for_a_camera(box: PeopleBox) -> None:
    hold(
        box,
        {
            **DOCUMENT,
            "require": ["carton"],
            "require_confidence": 0.4,
            "quality": {"small": "ignore"},
            "alerts": {
                "blind": {"when": ["quality"], "severity": "warning", "window": "2h", "escalate_after": "never"}
            },
            "deadlines": {"live": "30s"},
            "second_look": {"max_share": 0.2},
            "cameras": {"dock-4": {"classes": {"hole": {"review": 0.2, "fail": 0.4}}, "require": []}},
        },
    )
    page = await shown(box)
    for text in (
        "always: it is no damage",
        "from 30 % to 60 %",
        "carton in the picture, seen with 40 % or more.",
        "small does not matter.",
        "warning, when the picture is doubtful. One incident for each camera; over when nothing came for 2 hours; nobody",
        "are to be decided within 30 seconds",
        "at most 20 % of the images",
        "Only for the camera dock-4",
        "from 20 % to 40 %",
        "nothing special in the picture.",
    ):
        assert text in page, text
    assert page.count("at most 20 % of the images") == 1


async def test_versions_are_listed_with_who_wrote_them_and_what_they_changed(box: PeopleBox) -> None:
    hold(box, DOCUMENT, by="framegate")
    hold(box, STRICTER, by="A. Lead")
    page = await shown(box)
    assert "What holds now: version 2" in page
    assert "A. Lead" in page
    assert "<code>classes.hole.review</code>: <code>0.3</code> → <code>0.1</code>" in page
    assert "the first one" in page


async def test_an_old_version_says_that_it_holds_no_more_and_what_changed_since(box: PeopleBox) -> None:
    hold(box, DOCUMENT)
    hold(box, {**STRICTER, "require": ["carton"]})
    page = await shown(box, "?version=1")
    assert "Version 1 holds no more." in page
    assert "What changed from version 1 to version 2" in page
    assert '<span class="badge added">added</span> <code>require</code>' in page
    assert "Use version 1 again" in page
    assert 'data-expected="2"' in page


async def test_a_long_history_goes_on_behind_a_link(box: PeopleBox) -> None:
    for n in range(22):
        hold(box, {**DOCUMENT, "require_confidence": n / 100})
    page = await shown(box)
    assert "before=3" in page
    rest = await box.see("/policy?before=3")
    assert "version=2&" in rest or 'version=2"' in rest
    assert "the first one" in rest


@pytest.mark.parametrize("role", [Role.VIEWER, Role.REVIEWER, Role.OPERATOR])
async def test_only_an_admin_is_offered_to_change_it(box: PeopleBox, role: Role) -> None:
    hold(box, DOCUMENT)
    page = await shown(box, "", role)
    assert "<textarea" not in page
    assert "policy.js" not in page


async def test_an_admin_elsewhere_only_reads_here(box: PeopleBox) -> None:
    hold(box, DOCUMENT)
    hold(box, DOCUMENT, OTHER_HALL)
    box.add_person("anna", Role.VIEWER, HALL)
    box.store.people.set_role("anna", OTHER_HALL, Role.ADMIN, "lead")
    assert "<textarea" not in await box.see("/policy")
    assert "<textarea" in await box.see(f"/policy?facility={OTHER_HALL}")


async def test_another_facilitys_and_unknown_versions_are_not_there(box: PeopleBox) -> None:
    hold(box, DOCUMENT)
    await shown(box)
    for query, status in (
        (f"facility={OTHER_HALL}", 404),
        ("version=9", 404),
        ("version=0", 422),
        ("version=x", 422),
    ):
        await box.see(f"/policy?{query}", status=status)


async def test_what_a_policy_names_is_text_and_what_cannot_be_read_is_shown_as_written(box: PeopleBox) -> None:
    hold(box, {**DOCUMENT, "classes": {f"hole {HOSTILE}": {"review": 0.3, "fail": None}}}, by=HOSTILE)
    page = await shown(box)
    assert HOSTILE not in page
    assert "hole &lt;img" in page
    hold(box, {"schema": 2, "note": f"</textarea>{HOSTILE}"})
    page = await box.see("/policy")
    assert HOSTILE not in page
    assert "This release cannot put it in words" in page
