"""`/pipeline`: what is wrong is on top, in words."""

from datetime import timedelta
from pathlib import Path

import pytest

from framegate.dashboard import stages as said
from framegate.dashboard.stages import LaneView, StageView, WorkerView, troubles
from framegate.kernel.ids import FacilityId, new_image_id
from framegate.kernel.messages import FrameSubmitted, encode
from framegate.kernel.people import Role
from framegate.kernel.states import Lane, Stage
from framegate.pipeline import PIPELINE
from framegate.ports.progress import Claim, Ending
from tests.unit.ingest.fakes import HALL, OTHER_HALL
from tests.unit.ingest.test_incidents import opened
from tests.unit.ingest.test_reading import add, decide

from .fakes import PeopleBox

pytestmark = pytest.mark.anyio
RUNBOOK = Path(__file__).parents[3] / "docs" / "runbook.md"
WELL = WorkerView("box/inference-0", ready=True, reason="")
ILL = WorkerView("box/inference-1", ready=False, reason="model not loaded")


def inference(*workers: WorkerView, waiting: int = 0, oldest: float | None = None, errors: int = 0) -> StageView:
    lanes = (LaneView(Lane.LIVE, waiting, 0, oldest, 0), LaneView(Lane.BULK, 0, 0, None, 0))
    causes = [("error, out of memory", errors)] if errors else []
    return StageView(Stage.INFERENCE, "runs the engine", lanes, causes, workers)


async def shown(box: PeopleBox, path: str = "/pipeline", role: Role = Role.ADMIN, *where: FacilityId) -> str:
    box.add_person("anna", role, *where)
    return await box.see(path)


def die(box: PeopleBox, body: str, cause: str = "cannot be read") -> None:
    box.store.queue.send("frame-submitted-live", [body])
    (delivery,) = box.store.queue.receive(["frame-submitted-live"], 1, timedelta(), timedelta(seconds=30))
    box.store.queue.dead_letter(delivery, cause)


# --- what is wrong -----------------------------------------------------------------------------------------------------


def test_nothing_is_wrong_where_somebody_is_ready_and_nothing_waits_long() -> None:
    assert troubles([inference(WELL, waiting=3, oldest=said.PATIENCE_S)], missing=0, dead=0) == []


def test_one_sentence_says_what_waits_how_long_and_why_nobody_works_on_it() -> None:
    (trouble,) = troubles([inference(ILL, waiting=240, oldest=42)], missing=0, dead=0)
    assert trouble.what == ("inference: 240 images wait, the oldest for 42.0 s; no worker is ready: model not loaded.")
    assert trouble.grave
    assert trouble.heading == said.NOT_READY


def test_a_stage_of_which_nothing_is_heard_is_down() -> None:
    (trouble,) = troubles([inference()], missing=0, dead=0)
    assert trouble.what == "inference: no worker is ready: none has reported within 15 s."
    assert "process is down" in trouble.do


def test_images_that_wait_long_for_ready_workers_are_told_of_and_a_backfill_may_wait_longer() -> None:
    (trouble,) = troubles([inference(WELL, waiting=1, oldest=31)], missing=0, dead=0)
    assert trouble.what == "inference: 1 image waits, the oldest for 31.0 s."
    bulk = StageView(Stage.GATE, "", [LaneView(Lane.BULK, 9, 0, 31, 0)], (), [WELL])
    assert troubles([bulk], missing=0, dead=0) == []


def test_what_loses_images_is_first_then_what_stops_them_then_what_delays_them() -> None:
    stages = [inference(WELL, ILL, errors=2), StageView(Stage.GATE, "", (), (), ())]
    found = troubles(stages, missing=1, dead=1)
    assert [trouble.what.split(":")[0] for trouble in found] == [
        "1 image is missing", "gate", "inference", "inference", "1 message could not be handled and lies aside.",
    ]  # fmt: skip
    assert [trouble.grave for trouble in found] == [True, True, False, False, False]


def test_ingest_is_ready_where_it_answers() -> None:
    assert troubles([StageView(Stage.INGEST, "", (), (), ())], missing=0, dead=0) == []


@pytest.mark.parametrize("heading", [said.NOT_READY, said.WAITING, said.CANNOT, said.MISSING])
def test_the_runbook_has_the_headings_that_the_page_names(heading: str) -> None:
    assert f"\n## {heading}\n" in RUNBOOK.read_text("utf-8")


# --- the page ----------------------------------------------------------------------------------------------------------


async def test_the_page_shows_every_stage_in_the_order_of_the_flow_with_its_workers(box: PeopleBox) -> None:
    box.store.workers.report("box/gate", [Stage.GATE, Stage.SWEEP], ready=True, reason="", metrics_port=None)
    box.store.workers.report("box/<b>", [Stage.INFERENCE], ready=False, reason="<i>no model</i>", metrics_port=None)
    html = await shown(box)
    places = [html.index(f"<h3>{step.stage} ") for step in PIPELINE]
    assert places == sorted(places)
    assert "box/gate" in html
    assert "no worker is ready: &lt;i&gt;no model&lt;/i&gt;" in html
    assert "<i>" not in html
    assert "<b>" not in html


async def test_the_page_says_that_all_is_well(box: PeopleBox) -> None:
    box.store.workers.report("box/all", list(Stage), ready=True, reason="", metrics_port=None)
    assert "All is well." in await shown(box)


async def test_what_waits_and_what_failed_is_counted(box: PeopleBox) -> None:
    image = add(box)
    (claim,) = box.store.progress.claim(Stage.PREPROCESS, [FrameSubmitted(HALL, image)], "w", timedelta(seconds=60))
    assert isinstance(claim, Claim)
    box.store.progress.give_back([claim], Ending.ERROR, "the decoder <died>")
    html = await shown(box)
    assert "preprocess: 1 attempt failed within 5 min 0 s: error, the decoder &lt;died&gt;." in html
    assert "preprocess: 1 image waits, the oldest for" in html


async def test_the_page_adds_up_what_was_counted_in_the_chosen_facilities(box: PeopleBox) -> None:
    assert "Not counted yet" in await shown(box)
    decide(box, add(box))
    add(box)
    add(box, facility=OTHER_HALL)
    box.store.upkeep.take_stock()
    html = await box.see("/pipeline")
    assert [html.count(f"<dd>{said}</dd>") for said in ("2", "= 1", "+ 0", "+ 1")] == [1, 1, 3, 1]


async def test_dead_letters_show_their_cause_and_can_be_put_back(box: PeopleBox) -> None:
    image = new_image_id()
    die(box, encode(FrameSubmitted(HALL, image)), "<script>")
    html = await shown(box)
    assert f'href="/inspections/{image}"' in html
    assert "&lt;script&gt;" in html
    assert 'data-api="POST /v1/dead-letters/redrive"' in html
    assert "1 message could not be handled" in html


async def test_what_is_no_message_of_ours_names_no_image(box: PeopleBox) -> None:
    die(box, "not ours", "what is this")
    html = await shown(box)
    assert "what is this" in html
    assert "none named" in html


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.ADMIN])
async def test_only_who_administers_every_facility_sees_the_letters(box: PeopleBox, role: Role) -> None:
    die(box, encode(FrameSubmitted(HALL, new_image_id())), "a cause of its own")
    opened(box, facility=OTHER_HALL if role is Role.ADMIN else HALL)
    html = await shown(box, "/pipeline", role)
    assert "a cause of its own" not in html
    assert "/v1/dead-letters/redrive" not in html
    # That there are any is told to who may read everything.
    assert ("1 message could not be handled" in html) == (role is Role.OPERATOR)


async def test_causes_are_told_to_who_may_see_every_facility(box: PeopleBox) -> None:
    image = add(box)
    (claim,) = box.store.progress.claim(Stage.PREPROCESS, [FrameSubmitted(HALL, image)], "w", timedelta(seconds=60))
    assert isinstance(claim, Claim)
    box.store.progress.give_back([claim], Ending.ERROR, "the decoder of somebody")
    opened(box, facility=OTHER_HALL)
    html = await shown(box, "/pipeline")
    assert "the decoder of somebody" not in html
    assert "preprocess: 1 attempt failed" in html


async def test_without_dead_letters_the_page_says_what_would_appear(box: PeopleBox) -> None:
    assert "A message that cannot be handled appears here" in await shown(box)
