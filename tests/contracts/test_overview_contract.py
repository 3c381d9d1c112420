"""What pages show of many things at once: every camera, every stage, what is around an image, and never another facility."""

from datetime import timedelta
from typing import Any

import pytest

from framegate.kernel.ids import CameraId
from framegate.kernel.reviews import Choice, Decision
from framegate.kernel.states import ImageState, Lane, Stage, Verdict
from framegate.ports.overview import MOST_TOGETHER, CameraRate, Glimpse, StageFlow
from framegate.ports.progress import Ending

from .examples import (
    CAMERA,
    FACILITY,
    MODEL,
    OTHER_FACILITY,
    accept,
    advance_to,
    complete,
    decide,
    must_claim,
    new_image,
    outcome,
    prepared,
)
from .harness import Harness, seconds

MINE = frozenset({FACILITY})
BOTH = frozenset({FACILITY, OTHER_FACILITY})
HOUR = timedelta(hours=1)
DOCK_8 = CameraId("dock-8")


def rates(harness: Harness, **given: Any) -> dict[CameraId, CameraRate]:
    found = harness.overview.rates(given.get("facilities", MINE), given.get("since", HOUR))
    return {rate.camera: rate for rate in found}


def flow(harness: Harness, stage: Stage, lane: Lane = Lane.LIVE) -> StageFlow:
    (found,) = (one for one in harness.overview.stages().stages if (one.stage, one.lane) == (stage, lane))
    return found


def ids(glimpses: Any) -> list[Any]:
    return [glimpse.image_id for glimpse in glimpses]


# --- cameras -------------------------------------------------------------------------------------------------------


def test_every_camera_tells_what_became_of_its_images(harness: Harness) -> None:
    for verdict in (Verdict.PASS, Verdict.PASS, Verdict.FAIL, Verdict.REVIEW, None):
        decide(harness.progress, accept(harness.intake), outcome(verdict))
    newest = accept(harness.intake, metadata={"dock": "D7"})
    silent = accept(harness.intake, camera=DOCK_8)
    found = rates(harness)
    assert list(found) == [CAMERA, DOCK_8]
    rate = found[CAMERA]
    assert rate.ended == {"pass": 2, "fail": 1, "review": 1, "rejected": 1}
    assert rate.median_ms is not None
    assert rate.median_ms >= 0
    assert rate.dock == "D7"
    assert rate.newest is not None
    assert (rate.newest.image_id, rate.newest.state, rate.newest.verdict) == (
        newest.image_id,
        ImageState.RECEIVED,
        None,
    )
    quiet = found[DOCK_8]
    assert (quiet.ended, quiet.median_ms, quiet.dock) == ({}, None, None)
    assert ids([quiet.newest]) == [silent.image_id]


def test_a_camera_that_sent_nothing_is_there(harness: Harness) -> None:
    harness.cameras.confirm_camera(FACILITY, DOCK_8, "test")
    assert rates(harness)[DOCK_8] == CameraRate(FACILITY, DOCK_8, None, None, {}, None)


def test_the_newest_image_of_a_camera_shows_what_people_decided(harness: Harness) -> None:
    image = accept(harness.intake)
    decide(harness.progress, image, outcome(Verdict.REVIEW))
    said = Decision(Choice.PASS)
    harness.reviews.decide(MINE, image.image_id, 1, image.sha256, said, "ann", seconds(30))
    rate = rates(harness)[CAMERA]
    assert rate.newest is not None
    assert rate.newest.verdict is Verdict.PASS
    assert rate.ended == {"review": 1}


def test_cameras_of_other_facilities_are_not_seen(harness: Harness) -> None:
    for facility in (FACILITY, OTHER_FACILITY):
        decide(harness.progress, accept(harness.intake, facility=facility))
    assert [rate.facility for rate in harness.overview.rates(BOTH, HOUR)] == [FACILITY, OTHER_FACILITY]
    assert [rate.facility for rate in harness.overview.rates(MINE, HOUR)] == [FACILITY]
    assert harness.overview.rates(frozenset(), HOUR) == []


def test_only_what_ended_within_the_window_counts(harness: Harness) -> None:
    decide(harness.progress, accept(harness.intake))
    harness.advance(1)
    assert rates(harness, since=timedelta(0))[CAMERA].ended == {}
    assert rates(harness, since=timedelta(days=1))[CAMERA].ended == {"pass": 1}


def test_the_newest_images_of_every_camera_are_few_and_none_crowds_out_another(harness: Harness) -> None:
    quiet = accept(harness.intake, camera=DOCK_8)
    busy = [accept(harness.intake) for _ in range(4)]
    accept(harness.intake, facility=OTHER_FACILITY)
    decide(harness.progress, busy[3], outcome(Verdict.FAIL))
    found = harness.overview.newest(MINE, 3)
    assert ids(found) == [image.image_id for image in (busy[3], busy[2], busy[1], quiet)]
    assert [(one.facility, one.camera, one.state, one.verdict) for one in (found[0], found[3])] == [
        (FACILITY, CAMERA, ImageState.DECIDED, Verdict.FAIL),
        (FACILITY, DOCK_8, ImageState.RECEIVED, None),
    ]
    assert harness.overview.newest(frozenset(), 3) == []


# --- stages --------------------------------------------------------------------------------------------------------


def test_stages_stand_in_the_order_of_the_flow_live_before_bulk(harness: Harness) -> None:
    flows = harness.overview.stages().stages
    stages = (Stage.INGEST, Stage.PREPROCESS, Stage.INFERENCE, Stage.GATE)
    assert [(one.stage, one.lane) for one in flows] == [(stage, lane) for stage in stages for lane in Lane]
    assert {(one.waiting, one.working, one.oldest_s, one.last_minute) for one in flows} == {(0, 0, None, 0)}


def test_a_stage_tells_what_waits_what_is_worked_on_and_what_passed(harness: Harness) -> None:
    images = [accept(harness.intake) for _ in range(4)]
    accept(harness.intake, lane=Lane.BULK)
    decide(harness.progress, images[0])
    advance_to(harness.progress, images[1], Stage.INFERENCE)
    must_claim(harness.progress, Stage.PREPROCESS, images[2])
    preprocess = flow(harness, Stage.PREPROCESS)
    assert (preprocess.waiting, preprocess.working, preprocess.last_minute, preprocess.lately) == (1, 1, 2, 2)
    assert preprocess.oldest_s is not None
    inference = flow(harness, Stage.INFERENCE)
    assert (inference.waiting, inference.working, inference.last_minute) == (1, 0, 1)
    gate = flow(harness, Stage.GATE)
    assert (gate.waiting, gate.oldest_s, gate.last_minute) == (0, None, 1)
    assert (flow(harness, Stage.INGEST).last_minute, flow(harness, Stage.INGEST, Lane.BULK).lately) == (4, 1)
    bulk = flow(harness, Stage.PREPROCESS, Lane.BULK)
    assert (bulk.waiting, bulk.working, bulk.last_minute) == (1, 0, 0)


def test_what_has_waited_longest_and_a_lease_that_ran_out_are_told(harness: Harness) -> None:
    must_claim(harness.progress, Stage.PREPROCESS, accept(harness.intake), lease=seconds(20))
    harness.advance(30)
    accept(harness.intake)
    found = flow(harness, Stage.PREPROCESS)
    assert (found.waiting, found.working) == (2, 0)
    assert found.oldest_s == pytest.approx(30, abs=5)


def test_attempts_that_did_not_complete_are_told_by_cause(harness: Harness) -> None:
    ended, moving = accept(harness.intake), accept(harness.intake)
    for image, cause in ((ended, "no answer"), (moving, "no answer"), (moving, "a bad day")):
        held = must_claim(harness.progress, Stage.PREPROCESS, image)
        harness.progress.give_back([held], Ending.ERROR, cause)
    decide(harness.progress, ended)
    troubles = harness.overview.stages().troubles
    assert [(t.stage, t.ending, t.cause, t.times) for t in troubles] == [
        ("preprocess", "error", "no answer", 2),
        ("preprocess", "error", "a bad day", 1),
    ]


def test_workers_that_are_alive_are_counted(harness: Harness) -> None:
    harness.workers.report("gone", [Stage.GATE], True, "", None)
    harness.advance(60)
    harness.workers.report("one", [Stage.GATE, Stage.SWEEP], True, "", None)
    harness.workers.report("two", [Stage.GATE], False, "no database", None)
    found = harness.overview.stages()
    assert found.alive == {Stage.GATE: 2, Stage.SWEEP: 1}
    assert found.ready == {Stage.GATE: 1, Stage.SWEEP: 1}


# --- stock ---------------------------------------------------------------------------------------------------------


def test_the_last_count_is_kept_for_each_facility(harness: Harness) -> None:
    assert harness.overview.stock(BOTH) == []
    decide(harness.progress, accept(harness.intake), outcome(Verdict.FAIL))
    decide(harness.progress, accept(harness.intake), outcome(None))
    accept(harness.intake, facility=OTHER_FACILITY)
    sums = harness.upkeep.take_stock()
    assert sums == harness.upkeep.conservation()
    (mine,) = harness.overview.stock(MINE)
    assert (mine.facility, mine.sums) == (FACILITY, harness.upkeep.conservation(FACILITY))
    decide(harness.progress, accept(harness.intake))
    assert [stock.sums.accepted for stock in harness.overview.stock(BOTH)] == [2, 1]
    harness.upkeep.take_stock()
    assert [stock.sums.accepted for stock in harness.overview.stock(BOTH)] == [3, 1]
    assert harness.overview.missing(BOTH, 10) == []


def test_nothing_is_counted_where_there_is_nothing(harness: Harness) -> None:
    assert harness.upkeep.take_stock() == harness.upkeep.conservation()


# --- around an image -----------------------------------------------------------------------------------------------


def test_neighbours_are_the_next_images_of_the_camera(harness: Harness) -> None:
    images = [accept(harness.intake) for _ in range(11)]
    accept(harness.intake, camera=DOCK_8)
    decide(harness.progress, images[6], outcome(Verdict.FAIL))
    found = harness.overview.neighbours(MINE, images[5].image_id)
    assert found is not None
    expected = [image.image_id for image in images][::-1]
    assert (ids(found.newer), ids(found.older)) == (expected[1:5], expected[6:10])
    beside: Glimpse = found.newer[-1]
    assert (beside.camera, beside.state, beside.verdict) == (CAMERA, ImageState.DECIDED, Verdict.FAIL)


def test_images_of_the_same_shipment_stand_together(harness: Harness) -> None:
    goods = {"shipment": "S-1", "sscc": "003"}
    here = accept(harness.intake, metadata=goods)
    others = [accept(harness.intake, metadata={"shipment": "S-1"}, camera=DOCK_8) for _ in range(MOST_TOGETHER + 1)]
    accept(harness.intake, metadata={"sscc": "003"})
    accept(harness.intake, metadata=goods, facility=OTHER_FACILITY)
    found = harness.overview.neighbours(MINE, here.image_id)
    assert found is not None
    assert ids(found.together) == [image.image_id for image in others[:0:-1]]


def test_without_a_shipment_the_logistic_unit_counts(harness: Harness) -> None:
    here, other = (accept(harness.intake, metadata={"sscc": "003"}) for _ in range(2))
    found = harness.overview.neighbours(MINE, here.image_id)
    assert found is not None
    assert ids(found.together) == [other.image_id]
    alone = harness.overview.neighbours(MINE, accept(harness.intake, camera=DOCK_8).image_id)
    assert alone is not None
    assert (alone.newer, alone.older, alone.together) == ((), (), ())


def test_an_image_of_others_has_no_neighbours(harness: Harness) -> None:
    other = accept(harness.intake, facility=OTHER_FACILITY)
    for image in (other.image_id, new_image().image_id):
        assert harness.overview.neighbours(MINE, image) is None
    assert harness.overview.neighbours(frozenset(), other.image_id) is None


# --- trends and choices --------------------------------------------------------------------------------------------


def test_the_measures_of_a_camera_come_newest_first(harness: Harness) -> None:
    first, second = (accept(harness.intake) for _ in range(2))
    for image, verdict in ((second, Verdict.PASS), (first, Verdict.FAIL)):
        decide(harness.progress, image, outcome(verdict))
    waits = accept(harness.intake)
    assert complete(harness.progress, must_claim(harness.progress, Stage.PREPROCESS, waits), prepared())
    decide(harness.progress, accept(harness.intake, camera=DOCK_8))
    decide(harness.progress, accept(harness.intake, facility=OTHER_FACILITY))
    points = harness.overview.quality(MINE, CAMERA, 10)
    assert [(point.image_id, point.verdict) for point in points] == [
        (second.image_id, Verdict.PASS),
        (first.image_id, Verdict.FAIL),
    ]
    assert points[0].measures == prepared().quality.to_json()
    assert len(harness.overview.quality(MINE, CAMERA, 1)) == 1
    assert harness.overview.quality(MINE, CameraId("none"), 10) == []


def test_the_search_offers_what_occurs(harness: Harness) -> None:
    decide(harness.progress, accept(harness.intake), outcome(Verdict.FAIL), ("box", "damage", "box"))
    decide(harness.progress, accept(harness.intake, camera=DOCK_8), outcome(None), ("pallet",))
    decide(harness.progress, accept(harness.intake, facility=OTHER_FACILITY, camera=CameraId("x")), None, ("other",))
    found = harness.overview.facets(MINE)
    assert found.cameras == (CAMERA, DOCK_8)
    assert found.classes == ("box", "damage", "pallet")
    assert found.models == (MODEL,)
    assert found.reasons == ("clear", "truncated")
    assert "other" in harness.overview.facets(BOTH).classes
    assert harness.overview.facets(frozenset()).cameras == ()
