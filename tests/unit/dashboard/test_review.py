"""`/review`: what is shown around the desk, and what is told of an item before it is decided."""

import re
from dataclasses import replace
from datetime import timedelta
from itertools import count
from uuid import uuid4

import pytest

from framegate.kernel.ids import ImageId
from framegate.kernel.inspection import Look
from framegate.kernel.reviews import Choice, Decision
from framegate.kernel.states import Verdict
from tests.contracts.examples import decide, new_image, outcome
from tests.unit.ingest.fakes import HALL, OTHER_HALL
from tests.unit.ingest.test_reviews import waits

from .fakes import PeopleBox

pytestmark = pytest.mark.anyio
HERE = frozenset({HALL})
_NUMBERS = count()


async def shown(box: PeopleBox, path: str, status: int = 200) -> str:
    name = f"anna-{next(_NUMBERS)}"
    box.add_person(name)
    return await box.see(path, name, status=status)


def says(box: PeopleBox, image: ImageId, decision: Decision, actor: str = "anna") -> None:
    item = box.store.reviews.item(HERE, image)
    assert item is not None
    shown = "" if decision.choice is Choice.SKIP else item.sha256
    assert box.store.reviews.decide(HERE, image, item.version, shown, decision, actor, timedelta(seconds=30))


async def test_whoever_has_no_scripts_reads_what_waits_and_that_deciding_needs_them(box: PeopleBox) -> None:
    waits(box)
    waits(box, facility=OTHER_HALL)
    html = await shown(box, "/review")
    without = html.partition("<noscript>")[2].partition("</noscript>")[0]
    assert "Deciding needs JavaScript" in without
    assert without.count('<th scope="row">') == 1
    assert "/inspections/" not in without


async def test_a_desk_without_anything_says_what_will_be_there(box: PeopleBox) -> None:
    html = await shown(box, "/review")
    assert "Nothing waits for people." in html
    assert "Nobody has decided anything yet." in html
    assert "No automatic pass was checked yet." in await shown(box, "/review/quality")


async def test_the_last_decisions_are_listed_and_what_people_wrote_is_escaped(box: PeopleBox) -> None:
    first, second = waits(box), waits(box)
    says(box, first, Decision(Choice.FAIL, "<b>dent</b>", note="<script>alert(1)</script>"))
    says(box, second, Decision(Choice.SKIP))
    html = await shown(box, "/review")
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "fail: &lt;b&gt;dent&lt;/b&gt;" in html
    assert f'href="/inspections/{first}"' in html
    # It still waits: its page would tell what the pipeline said.
    assert f'href="/inspections/{second}"' not in html


async def test_an_items_piece_tells_the_same_of_a_doubt_and_of_a_blind_check(box: PeopleBox) -> None:
    image, html = {}, {}
    for sampled in (False, True):
        image[sampled] = waits(box, sampled=sampled)
        html[sampled] = await shown(box, f"/review/items/{image[sampled]}")
        record = box.store.results.image(HERE, image[sampled])
        assert record is not None
        assert record.verdict is (Verdict.PASS if sampled else Verdict.REVIEW)
        html[sampled] = re.sub(r'datetime="[^"]+"', "", html[sampled].replace(str(image[sampled]), "ID"))
    assert html[False] == html[True]


async def test_two_looks_are_drawn_but_not_what_came_of_them(box: PeopleBox) -> None:
    image = new_image(facility=HALL)
    box.store.intake.accept([image])
    looks = (
        Look(None, 1.0, "dent at 0.22 (review from 0.10)", "m@1", seen=(("dent", 0.22, (1.0, 2.0, 3.0, 4.0)),)),
        Look((0, 0, 40, 40), 2.0, "nothing", "m@1"),
    )
    decide(box.store.progress, image, replace(outcome(Verdict.REVIEW), looks=looks))
    html = await shown(box, f"/review/items/{image.image_id}")
    assert "&#34;region&#34;: [0, 0, 40, 40]" in html
    assert "review from" not in html


async def test_what_was_said_of_an_item_before_is_told(box: PeopleBox) -> None:
    image = waits(box)
    says(box, image, Decision(Choice.SKIP, note="too dark for <me>"), actor="ben")
    html = await shown(box, f"/review/items/{image}")
    assert "ben" in html
    assert "too dark for &lt;me&gt;" in html


async def test_a_damage_can_be_called_what_the_policy_of_its_image_has_limits_for(box: PeopleBox) -> None:
    limits = {
        "wet": {"review": 0.2, "fail": None},
        "carton": {"review": None, "fail": None},
        "dent": {"review": 0.1, "fail": 0.3},
    }
    box.store.policies.add_policy(HALL, {"classes": limits}, "lead", 0)
    html = await shown(box, f"/review/items/{waits(box)}")
    assert "&#34;classes&#34;: [&#34;dent&#34;, &#34;wet&#34;]" in html


async def test_another_facilitys_item_or_none_is_not_there(box: PeopleBox) -> None:
    await shown(box, f"/review/items/{waits(box, facility=OTHER_HALL)}", 404)
    box.add_person()
    await box.see(f"/review/items/{uuid4()}", status=404)
    await box.see("/review/items/x", status=404)
    await box.see(f"/review?facility={OTHER_HALL}", status=404)


async def test_escapes_are_told_with_their_interval_and_without_a_rate_while_few_were_checked(box: PeopleBox) -> None:
    for n in range(3):
        image = waits(box, sampled=True)
        says(box, image, Decision(Choice.FAIL, "dent") if n == 0 else Decision(Choice.PASS))
    html = await shown(box, "/review/quality")
    assert "too few for a rate, at least 60 are needed" in html
    assert "0.8 % to 90.6 %" in html  # the exact interval of 1 of 3
    for heading in ("By camera", "By damage", "By model"):
        assert heading in html
