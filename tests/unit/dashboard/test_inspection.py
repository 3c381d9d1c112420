"""One image and why it ended so, as people are shown it."""

import re
from dataclasses import replace
from datetime import timedelta
from html import unescape
from typing import Any

import pytest

from framegate.dashboard.demands import demands_of
from framegate.gate.policy import Policy
from framegate.kernel.ids import CameraId, ImageId
from framegate.kernel.inspection import Look, Outcome
from framegate.kernel.messages import FrameInspected, FramePrepared, FrameSubmitted
from framegate.kernel.people import Role
from framegate.kernel.reviews import Choice, Decision, Redrawn, Review
from framegate.kernel.states import ImageState, Stage, Verdict
from framegate.ports.progress import Claim, Completion
from tests.support.policies import DOCUMENT
from tests.support.values import inspected, prepared
from tests.unit.ingest.fakes import HALL, OTHER_HALL
from tests.unit.ingest.test_reading import add

from .fakes import PeopleBox

pytestmark = pytest.mark.anyio

HOSTILE = "<script>alert(1)</script>"


def end(box: PeopleBox, image_id: ImageId, outcome: Outcome, found: Any = None, *flags: str) -> None:
    """Takes an image that was accepted through the stages."""
    steps: list[tuple[Stage, type[Any], Any]] = [
        (Stage.PREPROCESS, FrameSubmitted, prepared(*flags)),
        (Stage.INFERENCE, FramePrepared, found or inspected()),
        (Stage.GATE, FrameInspected, outcome),
    ]
    for stage, message, result in steps:
        (claim,) = box.store.progress.claim(stage, [message(HALL, image_id)], "w", timedelta(seconds=60))
        assert isinstance(claim, Claim)
        box.clock.advance(0.1)
        assert box.store.progress.complete([Completion(claim, result)]) == [True]


def outcome(verdict: Verdict = Verdict.FAIL, reason: str = "damage", **more: Any) -> Outcome:
    return Outcome(ImageState.DECIDED, verdict, reason, "hole at 0.91 (fails from 0.60)", 1, **more)


def decide(box: PeopleBox, image_id: ImageId, decision: Decision, by: str = "rita") -> Review:
    reviews, halls = box.store.reviews, frozenset({HALL})
    reviews.lease(halls, by, 5, timedelta(seconds=60))
    item = reviews.item(halls, image_id)
    assert item is not None
    done = reviews.decide(halls, image_id, item.version, item.sha256, decision, by, timedelta(seconds=30))
    assert done is not None
    return done


async def read(box: PeopleBox, image_id: object, role: Role = Role.VIEWER, status: int = 200) -> str:
    """What is written on the page, tags and all."""
    if "anna" not in {person.name for person in box.store.people.people()}:
        box.add_person("anna", role)
    return await box.see(f"/inspections/{image_id}", status=status)


def words(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


@pytest.fixture
def failed(box: PeopleBox) -> ImageId:
    box.store.policies.add_policy(HALL, DOCUMENT, "A. Lead")
    image_id = add(box, metadata={"shipment": "SHIP-7", "meta.line": "a&b=c"}, width=1920, height=1080)
    end(box, image_id, outcome(), inspected(hole=0.91, carton=0.8, scratch=0.3), "blurred")
    return image_id


async def test_it_says_in_words_what_was_decided_by_what_and_why(box: PeopleBox, failed: ImageId) -> None:
    said = words(await read(box, failed))
    assert "Failed: the goods on this picture are damaged." in said
    assert "The pipeline decided fail" in said
    assert "by policy version 1 on what carton@1 found, because a defect was found" in said
    assert "hole at 0.91 (fails from 0.60)" in said
    assert "hole 0.91 0.30 0.60" in said  # highest, review from, fails from


async def test_the_policy_and_other_images_of_the_same_goods_are_linked(box: PeopleBox, failed: ImageId) -> None:
    html = await read(box, failed)
    for link in (
        f"/policy?facility={HALL}&amp;version=1",
        "/inspections?shipment=SHIP-7",
        "/inspections?key=meta.line&amp;value=a%26b%3Dc",
        f"/v1/images/{failed}/evidence",
        f"/v1/images/{failed}/content",
    ):
        assert f'href="{link}"' in html, link


async def test_boxes_are_shapes_over_the_picture_and_rows_of_a_table(box: PeopleBox, failed: ImageId) -> None:
    html = await read(box, failed)
    assert f'<image href="/v1/images/{failed}/content?preview=large" width="1920" height="1080"' in html
    assert html.count('<rect class="edge" x="10.0" y="10.0" width="40.0" height="40.0"/>') == 3
    assert html.count("<tr id=") == 3
    assert 'class="box k0 fail" id="box-0"' in html
    assert 'class="box k1 none" id="box-1"' in html  # cartons count for nothing


async def test_what_counts_against_a_pass_is_told_with_its_thresholds(box: PeopleBox) -> None:
    box.store.policies.add_policy(HALL, DOCUMENT, "A. Lead")
    image_id = add(box)
    end(box, image_id, outcome(Verdict.PASS, "clear"), inspected(hole=0.2, carton=0.9, scratch=0.1))
    said = words(await read(box, image_id))
    assert "The closest call was hole at 0.20, which counts from 0.30." in said
    assert "no detection reached its threshold" in said
    assert "hole 0.20 0.30 0.60" in said


async def test_whoever_overruled_the_pipeline_is_named_with_what_they_wrote_and_drew(box: PeopleBox) -> None:
    image_id = add(box)
    end(box, image_id, outcome(Verdict.REVIEW, "uncertain"))
    first = decide(box, image_id, Decision(Choice.PASS, note="fine"))
    box.store.reviews.undo(frozenset({HALL}), first.review_id, "rita", timedelta(seconds=60))
    drawn = (Redrawn(f"dent{HOSTILE}", (1.0, 2.0, 30.0, 40.0)),)
    decide(box, image_id, Decision(Choice.FAIL, f"dent{HOSTILE}", drawn, note=f"see {HOSTILE}"))
    html = await read(box, image_id)
    said = words(html)
    assert "Failed by rita, to whom the pipeline had left it." in said
    assert "Before, the pipeline had decided review" in said
    assert "(taken back)" in said
    assert HOSTILE not in html
    assert '<rect class="edge" x="1.0" y="2.0" width="29.0" height="38.0"/>' in html


async def test_both_looks_are_shown_side_by_side(box: PeopleBox) -> None:
    image_id = add(box, width=1920, height=1080)
    first = Look(
        None, 0.33, "hole at 0.35 (review from 0.30)", "carton@1", "0" * 64, "e", (("hole", 0.35, (1, 2, 3, 4)),)
    )
    second = Look((100, 200, 740, 840), 1.0, "nothing above its threshold", "carton@1", "0" * 64, "e", ())
    end(box, image_id, outcome(Verdict.REVIEW, "uncertain", looks=(first, second)))
    html = await read(box, image_id)
    assert 'viewBox="100 200 640 640"' in html
    assert 'class="marked"' in html
    assert "hole at 0.35 (review from 0.30)" in words(html)


async def test_names_from_outside_are_text(box: PeopleBox) -> None:
    image_id = add(box, metadata={"meta.note": HOSTILE, "shipment": "S"})
    detail = f"{HOSTILE} at 0.91"
    end(box, image_id, replace(outcome(), detail=detail), inspected(**{f"{HOSTILE}": 0.9}))
    html = await read(box, image_id)
    assert HOSTILE not in html
    assert html.count("&lt;script&gt;") >= 4


async def test_an_image_in_flight_says_so_and_one_that_was_refused_has_no_picture(box: PeopleBox) -> None:
    waiting = add(box)
    html = await read(box, waiting)
    assert "Being inspected: received" in html
    assert f'data-wait="{waiting}"' in html
    assert "preview=large" not in html
    refused = add(box)
    end(box, refused, Outcome(ImageState.REJECTED, None, "truncated", "the file ends early", 1))
    html = await read(box, refused)
    assert "Refused: this file cannot be inspected." in html
    assert "preview=large" not in html
    assert "data-wait" not in html


async def test_an_erased_picture_says_who_erased_it_and_why(box: PeopleBox, failed: ImageId) -> None:
    box.store.retention.erase(HALL, failed, f"asked for {HOSTILE}", "A. Lead")
    html = await read(box, failed)
    assert "The picture was erased by A. Lead because" in html
    assert "preview=large" not in html
    assert f'href="/v1/images/{failed}/content"' not in html
    assert HOSTILE not in html
    assert "SHIP-7" not in html


async def test_neighbours_of_the_camera_and_of_the_shipment_are_one_click_away(box: PeopleBox) -> None:
    before, image_id, after = (add(box, metadata={"shipment": "S-1"}) for _ in range(3))
    add(box, camera=CameraId("elsewhere"))
    html = await read(box, image_id)
    assert f'rel="prev" data-key="[" href="/inspections/{before}"' in html
    assert f'rel="next" data-key="]" href="/inspections/{after}"' in html
    assert html.count(f'href="/inspections/{before}"') == 3  # beside the heading, in both strips


@pytest.mark.parametrize(("role", "shown"), [(Role.REVIEWER, False), (Role.OPERATOR, True)])
async def test_the_audit_is_for_who_may_read_it(box: PeopleBox, failed: ImageId, role: Role, shown: bool) -> None:
    box.store.audit.seal(100)
    html = await read(box, failed, role)
    assert ("<h2>Audit</h2>" in html) is shown
    assert ("seal 1" in html) is shown


async def test_who_opened_the_page_is_in_the_audit(box: PeopleBox, failed: ImageId) -> None:
    await read(box, failed)
    entry = next(each for each in reversed(box.store.state.audit) if each.object == str(failed))
    assert (entry.actor, entry.action, entry.body) == ("anna", "image.viewed", {"what": "page"})


async def test_what_counts_comes_first_and_what_is_weak_hides_nothing(box: PeopleBox) -> None:
    box.store.policies.add_policy(HALL, DOCUMENT, "A. Lead")
    image_id = add(box)
    end(box, image_id, outcome(), inspected(carton=0.9, hole=0.61, label=0.1))
    html = await read(box, image_id)
    assert re.findall(r'<tr id="found-(\d)"', html) == ["1", "0", "2"]
    assert re.findall(r'class="box \w+ ([^"]+)"', html) == ["none weak", "none", "fail"]


async def test_the_audit_of_one_facility_is_not_for_who_may_read_that_of_another(
    box: PeopleBox, failed: ImageId
) -> None:
    box.add_person("olga", Role.VIEWER, HALL)
    box.store.people.set_role("olga", OTHER_HALL, Role.ADMIN, "lead")
    assert "<h2>Audit</h2>" not in await box.see(f"/inspections/{failed}", "olga")


@pytest.mark.parametrize("image_id", ["1", "0193e2a4-7c1b-7f3a-9d5e-2b1c0a998877"])
async def test_what_is_no_image_is_not_found(box: PeopleBox, image_id: str) -> None:
    await read(box, image_id, status=404)


async def test_an_image_of_another_facility_is_not_found(box: PeopleBox) -> None:
    await read(box, add(box, facility=OTHER_HALL), status=404)


@pytest.mark.parametrize("camera", ["dock-1", "dock-2", "dock-3", "other"])
def test_what_is_told_of_a_policy_is_what_the_gate_applies(camera: str) -> None:
    document = DOCUMENT | {
        "require": ["carton"],
        "quality": {"blurred": "ignore"},
        "cameras": {
            "dock-1": {
                "classes": {"hole": {"review": 0.1, "fail": None}},
                "quality": {"flat": "ignore", "blurred": "review"},
            },
            "dock-2": {"otherwise": {"review": None, "fail": 0.9}, "require": [], "require_confidence": 0.4},
            "dock-3": {"doubtful_quality": ["noise"]},
        },
    }
    told, applied = demands_of(document, CameraId(camera)), Policy.parse(1, document).for_camera(camera)
    for name in ("hole", "carton", "anything"):
        limits, holds = told.of(name), applied.thresholds(name)
        assert (limits.review, limits.fail) == (holds.review, holds.fail)
    assert told.quality == applied.doubtful_quality
    assert set(told.require) == applied.require
    assert told.require_confidence == applied.require_confidence
