"""A lost queue costs time, not images; and the sums add up."""

from datetime import timedelta
from uuid import uuid4

import pytest

from framegate.kernel.ids import ImageId
from framegate.kernel.inspection import Failed, Outcome
from framegate.kernel.messages import FrameInspected, FramePrepared, FrameSubmitted, Message, decode
from framegate.kernel.states import ImageState, Lane, Stage, Verdict
from framegate.pipeline import NEXT_MESSAGE
from framegate.ports.progress import Claim, Completion, Ending
from framegate.ports.store import NewImage
from framegate.ports.upkeep import Overdue, StoredOriginal

from .examples import (
    FACILITY,
    OTHER_FACILITY,
    accept,
    advance_to,
    claim,
    complete,
    decide,
    must_claim,
    outcome,
)
from .harness import Harness, seconds, waiting

IDLE = timedelta(seconds=60)
EVERYWHERE = dict.fromkeys(NEXT_MESSAGE, IDLE)
OVERDUE_S = 61.0


def reissue(harness: Harness, limit: int = 100) -> list[Overdue]:
    return harness.upkeep.reissue_overdue(EVERYWHERE, limit)


def lost(harness: Harness, image: NewImage) -> NewImage:
    """Its message is gone."""
    harness.purge()
    return image


@pytest.mark.parametrize(
    ("stage", "state", "expected"),
    [
        (Stage.PREPROCESS, ImageState.RECEIVED, FrameSubmitted),
        (Stage.INFERENCE, ImageState.PREPARED, FramePrepared),
        (Stage.GATE, ImageState.INSPECTED, FrameInspected),
    ],
)
def test_an_image_whose_message_was_lost_gets_another_one(
    harness: Harness, stage: Stage, state: ImageState, expected: type[Message]
) -> None:
    image = accept(harness.intake, lane=Lane.BULK)
    advance_to(harness.progress, image, stage)
    lost(harness, image)
    harness.advance(OVERDUE_S)
    (overdue,) = reissue(harness)
    assert (overdue.facility, overdue.image_id, overdue.look, overdue.lane, overdue.state) == (
        FACILITY,
        image.image_id,
        1,
        Lane.BULK,
        state,
    )
    assert [m for _, m in waiting(harness)] == [expected(FACILITY, image.image_id, 1, Lane.BULK)]
    assert isinstance(claim(harness.progress, stage, image), Claim)


def test_an_image_that_moved_lately_is_left_alone(harness: Harness) -> None:
    image = lost(harness, accept(harness.intake))
    harness.advance(50)
    assert reissue(harness) == []
    advance_to(harness.progress, image, Stage.INFERENCE)
    harness.purge()
    harness.advance(50)
    assert reissue(harness) == []
    harness.advance(11)
    assert [o.image_id for o in reissue(harness)] == [image.image_id]


def test_a_claimed_image_is_left_alone_however_long_it_takes(harness: Harness) -> None:
    image = lost(harness, accept(harness.intake))
    must_claim(harness.progress, Stage.PREPROCESS, image, lease=timedelta(hours=2))
    harness.advance(3600)
    assert reissue(harness) == []


def test_an_image_whose_worker_and_message_are_gone_comes_back(harness: Harness) -> None:
    image = lost(harness, accept(harness.intake))
    must_claim(harness.progress, Stage.PREPROCESS, image)
    harness.advance(600)
    assert [o.image_id for o in reissue(harness)] == [image.image_id]


def test_an_image_whose_message_is_a_dead_letter_comes_back(harness: Harness) -> None:
    image = accept(harness.intake)
    (delivery,) = harness.queue.receive(["frame-submitted-live"], 1, seconds(0), seconds(60))
    harness.progress.give_back([must_claim(harness.progress, Stage.PREPROCESS, image)], Ending.ERROR, "boom")
    harness.queue.dead_letter(delivery, "attempts")
    harness.advance(OVERDUE_S)
    assert [o.image_id for o in reissue(harness)] == [image.image_id]


def test_ended_images_are_not_sent_again(harness: Harness) -> None:
    decide(harness.progress, accept(harness.intake))
    harness.purge()
    harness.advance(100_000)
    assert reissue(harness) == []


def test_only_the_named_states_are_looked_at(harness: Harness) -> None:
    fresh, ready = accept(harness.intake), accept(harness.intake)
    advance_to(harness.progress, ready, Stage.INFERENCE)
    harness.purge()
    harness.advance(OVERDUE_S)
    found = harness.upkeep.reissue_overdue({ImageState.PREPARED: IDLE}, 100)
    assert [o.image_id for o in found] == [ready.image_id]
    assert harness.upkeep.reissue_overdue({}, 100) == []
    assert [o.image_id for o in reissue(harness)] == [fresh.image_id]


def test_states_have_pauses_of_their_own(harness: Harness) -> None:
    accept(harness.intake)
    ready = accept(harness.intake)
    advance_to(harness.progress, ready, Stage.INFERENCE)
    harness.purge()
    harness.advance(OVERDUE_S)
    idle = {ImageState.RECEIVED: timedelta(hours=1), ImageState.PREPARED: IDLE}
    assert [o.image_id for o in harness.upkeep.reissue_overdue(idle, 100)] == [ready.image_id]


def test_the_pause_grows_with_every_time(harness: Harness) -> None:
    image = lost(harness, accept(harness.intake))
    harness.advance(OVERDUE_S)
    (first,) = reissue(harness)
    harness.purge()
    harness.advance(OVERDUE_S)
    assert reissue(harness) == [], "the second pause is as short as the first"
    harness.advance(OVERDUE_S * 10)
    (second,) = reissue(harness)
    assert (first.image_id, second.image_id) == (image.image_id, image.image_id)
    assert second.reissues == first.reissues + 1


def test_an_image_that_moved_starts_with_the_short_pause_again(harness: Harness) -> None:
    image = lost(harness, accept(harness.intake))
    harness.advance(OVERDUE_S)
    assert len(reissue(harness)) == 1
    advance_to(harness.progress, image, Stage.INFERENCE)
    harness.purge()
    harness.advance(OVERDUE_S)
    assert [o.state for o in reissue(harness)] == [ImageState.PREPARED]


def test_the_limit_holds_and_the_rest_follows(harness: Harness) -> None:
    images = {accept(harness.intake).image_id for _ in range(5)}
    harness.purge()
    harness.advance(OVERDUE_S)
    found = [o.image_id for _ in range(3) for o in reissue(harness, 2)]
    assert len(found) == 5
    assert set(found) == images
    assert len(waiting(harness)) == 5


def test_a_backlog_is_not_sent_again(harness: Harness) -> None:
    for _ in range(5):
        accept(harness.intake)
    harness.advance(3600)  # nobody works: everything waits its turn
    assert reissue(harness) == []
    assert len(waiting(harness)) == 5


def test_an_image_behind_older_messages_waits_its_turn(harness: Harness) -> None:
    accept(harness.intake)
    harness.advance(10)
    behind = accept(harness.intake)
    # Only the younger message is lost; the older one still waits, so the workers are behind.
    for delivery in harness.queue.receive(["frame-submitted-live"], 2, seconds(0), seconds(3600)):
        if decode(delivery.body).image_id == behind.image_id:
            harness.queue.acknowledge([delivery])
        else:
            harness.queue.release([delivery])
    harness.advance(OVERDUE_S)
    assert reissue(harness) == []
    waiting(harness)
    assert behind.image_id in [o.image_id for o in reissue(harness)]


def test_younger_messages_do_not_hide_a_lost_one(harness: Harness) -> None:
    image = lost(harness, accept(harness.intake))
    harness.advance(OVERDUE_S)
    accept(harness.intake)
    assert [o.image_id for o in reissue(harness)] == [image.image_id]


def test_a_backlog_on_the_other_lane_hides_nothing(harness: Harness) -> None:
    image = lost(harness, accept(harness.intake))
    harness.advance(OVERDUE_S)
    accept(harness.intake, lane=Lane.BULK)
    harness.advance(OVERDUE_S)
    assert image.image_id in [o.image_id for o in reissue(harness)]


def test_reissued_messages_of_images_that_are_waited_for_do_not_pile_up(harness: Harness) -> None:
    lost(harness, accept(harness.intake))
    for _ in range(20):
        harness.advance(OVERDUE_S * 10)
        reissue(harness)
    assert len(waiting(harness)) == 1


# --- conservation --------------------------------------------------------------------------------------------------


def test_how_long_images_wait_is_told_for_each_queue_without_those_that_are_worked_on(harness: Harness) -> None:
    assert harness.upkeep.waiting_s() == {}
    first = accept(harness.intake)
    harness.advance(30)
    accept(harness.intake)
    accept(harness.intake, lane=Lane.BULK)
    harness.advance(10)
    waited = harness.upkeep.waiting_s()
    assert waited.keys() == {"frame-submitted-live", "frame-submitted-bulk"}
    assert 40 <= waited["frame-submitted-live"] < 60
    assert 10 <= waited["frame-submitted-bulk"] < 30
    must_claim(harness.progress, Stage.PREPROCESS, first, lease=timedelta(seconds=20))
    assert harness.upkeep.waiting_s()["frame-submitted-live"] < 30
    harness.advance(60)  # its worker is gone for 40 s, the second one waits for 70
    waited = harness.upkeep.waiting_s()
    assert 70 <= waited["frame-submitted-live"] < 90


def test_an_empty_store_adds_up(harness: Harness) -> None:
    sums = harness.upkeep.conservation()
    assert (sums.accepted, sums.decided, sums.rejected, sums.failed, sums.in_flight, sums.lost) == (0,) * 6


def test_in_flight_counts_what_has_no_outcome_yet(harness: Harness) -> None:
    first, _ = accept(harness.intake), accept(harness.intake)
    assert harness.upkeep.in_flight() == 2
    decide(harness.progress, first, outcome(Verdict.PASS))
    assert harness.upkeep.in_flight() == 1


def test_every_accepted_image_is_somewhere(harness: Harness) -> None:
    for verdict in (Verdict.PASS, Verdict.PASS, Verdict.FAIL, Verdict.REVIEW, None):
        decide(harness.progress, accept(harness.intake), outcome(verdict))
    failed = accept(harness.intake)
    held = must_claim(harness.progress, Stage.PREPROCESS, failed)
    assert complete(harness.progress, held, Failed("exhausted", "Over."))
    end = Outcome(ImageState.FAILED, None, "exhausted", "Over.", 1)
    assert complete(harness.progress, must_claim(harness.progress, Stage.GATE, failed), end)
    for stage in (Stage.PREPROCESS, Stage.INFERENCE, Stage.GATE):
        advance_to(harness.progress, accept(harness.intake), stage)
    decide(harness.progress, accept(harness.intake, facility=OTHER_FACILITY))
    sums = harness.upkeep.conservation(FACILITY)
    assert (sums.accepted, sums.decided, sums.rejected, sums.failed, sums.in_flight) == (9, 4, 1, 1, 3)
    assert {v: n for v, n in sums.verdicts.items() if n} == {"pass": 2, "fail": 1, "review": 1}
    assert sums.lost == 0
    total = harness.upkeep.conservation()
    assert (total.accepted, total.decided, total.lost) == (10, 5, 0)
    assert harness.upkeep.conservation(OTHER_FACILITY).accepted == 1


def test_all_invariants_hold_after_a_normal_run_with_troubles(harness: Harness) -> None:
    images = [accept(harness.intake) for _ in range(4)]
    late = must_claim(harness.progress, Stage.PREPROCESS, images[0])
    harness.advance(61)
    held = must_claim(harness.progress, Stage.PREPROCESS, images[0])
    harness.progress.complete([Completion(late, Failed("exhausted", "late"))])
    harness.progress.give_back([held], Ending.CRASH, "died")
    for image in images[:3]:
        decide(harness.progress, image)
    checks = harness.upkeep.check_invariants()
    assert checks
    assert len({check.name for check in checks}) == len(checks)
    assert [check for check in checks if check.violations or check.examples] == []
    assert all(check.meaning for check in checks)


# --- blobs ---------------------------------------------------------------------------------------------------------


def test_blob_keys_are_told_page_by_page_in_id_order(harness: Harness) -> None:
    images = [accept(harness.intake, facility=f) for f in (FACILITY, OTHER_FACILITY, FACILITY)]
    decide(harness.progress, images[0])
    expected = [StoredOriginal(i.image_id, i.blob_key, i.sha256) for i in images]
    first = harness.upkeep.blob_keys(None, 2)
    assert first == expected[:2]
    assert harness.upkeep.blob_keys(first[-1].image_id, 2) == expected[2:]
    assert harness.upkeep.blob_keys(expected[-1].image_id, 2) == []
    assert harness.upkeep.blob_keys(ImageId(uuid4()), 0) == []
