"""A second look: the first one is kept, the image goes back once, and nothing that was decided changes any more."""

from dataclasses import replace

import numpy as np
import pytest

from framegate.kernel.geometry import Region
from framegate.kernel.inspection import LOOK_FAILED, Failed, FirstLook, Inspected, Look, Outcome, Prepared
from framegate.kernel.messages import FrameSubmitted
from framegate.kernel.states import ImageState, Lane, Stage, Verdict
from framegate.ports.progress import Claim, Denied, Ending, LookAgain, PrepareAgain
from framegate.ports.store import NewImage

from .examples import (
    FACILITY,
    LEASE,
    accept,
    advance_to,
    claim,
    complete,
    decide,
    inspected,
    labelled,
    must_claim,
    outcome,
    prepared,
    serve,
)
from .harness import Harness, record, waiting

EXPIRE_S = LEASE.total_seconds() + 1
REGION = Region(3, 4, 20, 10)
FIRST = Look(None, 10.0, "box at 0.75", "starter@1", "ab" * 32, "engine", (("box", 0.75, (0.5, 1.0, 10.0, 20.0)),))
SECOND = Look((3, 4, 23, 14), None, "poison: it kills")


def looked_at_again(harness: Harness, lane: Lane = Lane.LIVE) -> tuple[NewImage, Claim]:
    """An image that waits for its second look, and the gate's claim that asked for it."""
    image = accept(harness.intake, lane=lane)
    advance_to(harness.progress, image, Stage.INFERENCE)
    assert complete(
        harness.progress, must_claim(harness.progress, Stage.INFERENCE, image), labelled(inspected("box", "hole"))
    )
    waiting(harness)
    held = must_claim(harness.progress, Stage.GATE, image)
    assert complete(harness.progress, held, LookAgain(REGION))
    return image, held


def same(one: Inspected, other: Inspected) -> bool:
    """Detections have no equality."""
    arrays = [(f.detections.xyxy, f.detections.confidence, f.detections.class_id) for f in (one, other)]
    nothing = inspected().detections
    rest = [replace(f, detections=nothing) for f in (one, other)]
    return all(np.array_equal(a, b) for a, b in zip(*arrays, strict=True)) and rest[0] == rest[1]


def first_of(held: Claim) -> FirstLook:
    assert held.first is not None
    return held.first


def test_an_image_that_is_looked_at_again_starts_anew_with_its_first_look_beside_it(harness: Harness) -> None:
    image, _ = looked_at_again(harness, Lane.BULK)
    assert waiting(harness) == [("frame-submitted-bulk", FrameSubmitted(FACILITY, image.image_id, 2, Lane.BULK))]
    shown = record(harness, image)
    assert (shown.state, shown.look, shown.detections, shown.history) == (ImageState.RECEIVED, 2, (), ())
    for stage, result in ((Stage.PREPROCESS, prepared("prepared/crop")), (Stage.INFERENCE, inspected("dent"))):
        held = must_claim(harness.progress, stage, image, look=2)
        assert (held.attempt, first_of(held).region) == (1, REGION)
        assert same(first_of(held).found, labelled(inspected("box", "hole")))
        assert first_of(held).prepared.to_json() == prepared().to_json()
        assert complete(harness.progress, held, result)
    gate = must_claim(harness.progress, Stage.GATE, image, look=2)
    assert isinstance(gate.finding, Inspected)
    assert gate.finding.classes == ("dent",)
    assert isinstance(gate.prepared, Prepared)
    assert gate.prepared.blob_key == "prepared/crop"


def test_before_it_there_is_no_first_look(harness: Harness) -> None:
    image = accept(harness.intake)
    advance_to(harness.progress, image, Stage.GATE)
    assert must_claim(harness.progress, Stage.GATE, image).first is None


def test_the_outcome_holds_what_both_looks_say_and_the_frame_of_the_first(harness: Harness) -> None:
    image, _ = looked_at_again(harness)
    crop = replace(prepared("prepared/crop"), quality=replace(prepared().quality, flags=("flat",)))
    assert complete(harness.progress, must_claim(harness.progress, Stage.PREPROCESS, image, look=2), crop)
    assert complete(harness.progress, must_claim(harness.progress, Stage.INFERENCE, image, look=2), inspected("dent"))
    merged = labelled(inspected("box", "dent", "tear"))
    end = replace(outcome(Verdict.FAIL), looks=(FIRST, SECOND), found=merged)
    assert complete(harness.progress, must_claim(harness.progress, Stage.GATE, image, look=2), end)
    shown = record(harness, image)
    assert (shown.verdict, shown.look, shown.looks) == (Verdict.FAIL, 2, (FIRST, SECOND))
    assert [name for name, _, _ in shown.detections] == ["box", "dent", "tear"]
    assert shown.labels == merged.labels
    assert shown.quality is not None
    assert shown.quality["flags"] == ["blurred"]
    assert shown.prepared is not None
    assert shown.prepared["blob_key"] == prepared().blob_key
    assert (shown.model, shown.engine) == (merged.model, merged.engine)


def test_a_second_look_that_failed_leaves_the_first_ones_word(harness: Harness) -> None:
    image, _ = looked_at_again(harness)
    held = must_claim(harness.progress, Stage.PREPROCESS, image, look=2)
    assert complete(harness.progress, held, Failed("input-missing", "It is gone."))
    gate = must_claim(harness.progress, Stage.GATE, image, look=2)
    assert gate.finding == Failed("input-missing", "It is gone.")
    end = replace(outcome(Verdict.REVIEW), looks=(FIRST, SECOND), found=first_of(gate).found)
    assert complete(harness.progress, gate, end)
    shown = record(harness, image)
    assert (shown.verdict, len(shown.detections), shown.model) == (Verdict.REVIEW, 2, first_of(gate).found.model)
    assert shown.prepared is not None


def test_an_outcome_of_one_look_tells_of_no_others(harness: Harness) -> None:
    image = accept(harness.intake)
    decide(harness.progress, image)
    assert record(harness, image).looks == ()


def test_there_is_no_third_look(harness: Harness) -> None:
    image, _ = looked_at_again(harness)
    for stage, result in ((Stage.PREPROCESS, prepared()), (Stage.INFERENCE, inspected("hole"))):
        assert complete(harness.progress, must_claim(harness.progress, stage, image, look=2), result)
    held = must_claim(harness.progress, Stage.GATE, image, look=2)
    with pytest.raises(ValueError, match="gate cannot complete with LookAgain"):
        complete(harness.progress, held, LookAgain(REGION))
    assert complete(harness.progress, held, outcome())


def test_only_the_gate_looks_again_and_only_at_what_was_inspected(harness: Harness) -> None:
    image = accept(harness.intake)
    held = must_claim(harness.progress, Stage.PREPROCESS, image)
    with pytest.raises(ValueError, match="preprocess cannot complete with LookAgain"):
        complete(harness.progress, held, LookAgain(REGION))
    assert complete(harness.progress, held, Failed("poison", "It kills."))
    held = must_claim(harness.progress, Stage.GATE, image)
    with pytest.raises(ValueError, match="gate cannot complete with LookAgain"):
        complete(harness.progress, held, LookAgain(REGION))


@pytest.mark.parametrize("stage", [Stage.INFERENCE, Stage.GATE])
def test_what_is_prepared_again_during_a_second_look_is_the_same_region(harness: Harness, stage: Stage) -> None:
    image, _ = looked_at_again(harness)
    assert complete(harness.progress, must_claim(harness.progress, Stage.PREPROCESS, image, look=2), prepared())
    if stage is Stage.GATE:
        assert complete(harness.progress, must_claim(harness.progress, Stage.INFERENCE, image, look=2), inspected())
    held = must_claim(harness.progress, stage, image, look=2)
    assert complete(harness.progress, held, PrepareAgain("the prepared frame is gone"))
    again = must_claim(harness.progress, Stage.PREPROCESS, image, look=3)
    assert (again.prepared, first_of(again).region) == (None, REGION)
    assert same(first_of(again).found, labelled(inspected("box", "hole")))
    assert [entry["ending"] for entry in record(harness, image).history] == ["prepare-again"]


def test_asking_twice_says_true_and_sends_one_message(harness: Harness) -> None:
    image, held = looked_at_again(harness)
    assert len(waiting(harness)) == 1
    assert complete(harness.progress, held, LookAgain(Region(0, 0, 5, 5)))
    assert waiting(harness) == []
    again = must_claim(harness.progress, Stage.PREPROCESS, image, look=2)
    assert first_of(again).region == REGION, "a repeated question moved the region"


def test_messages_of_the_first_look_are_stale_once_there_is_a_second(harness: Harness) -> None:
    image, _ = looked_at_again(harness)
    for stage in (Stage.PREPROCESS, Stage.INFERENCE, Stage.GATE):
        assert claim(harness.progress, stage, image, look=1) is Denied.STALE


def test_a_gate_that_lost_its_claim_starts_no_second_look(harness: Harness) -> None:
    image = accept(harness.intake)
    advance_to(harness.progress, image, Stage.GATE)
    late = must_claim(harness.progress, Stage.GATE, image, "late")
    harness.advance(EXPIRE_S)
    current = must_claim(harness.progress, Stage.GATE, image, "current")
    waiting(harness)
    assert complete(harness.progress, late, LookAgain(REGION)) is False
    assert waiting(harness) == []
    assert complete(harness.progress, current, outcome(Verdict.REVIEW))
    assert complete(harness.progress, late, LookAgain(REGION)) is False
    assert (record(harness, image).verdict, record(harness, image).look) == (Verdict.REVIEW, 1)


def test_a_decision_of_a_gate_that_lost_its_claim_to_a_second_look_does_not_count(harness: Harness) -> None:
    image = accept(harness.intake)
    advance_to(harness.progress, image, Stage.GATE)
    late = must_claim(harness.progress, Stage.GATE, image, "late")
    harness.advance(EXPIRE_S)
    current = must_claim(harness.progress, Stage.GATE, image, "current")
    assert complete(harness.progress, current, LookAgain(REGION))
    assert complete(harness.progress, late, outcome(Verdict.PASS)) is False
    assert record(harness, image).state is ImageState.RECEIVED


@pytest.mark.parametrize("late_in", [Stage.PREPROCESS, Stage.INFERENCE, Stage.GATE])
def test_whatever_comes_late_of_a_second_look_changes_nothing_that_was_decided(
    harness: Harness, late_in: Stage
) -> None:
    """A worker of each stage stalls, another one ends the image; then the first one comes back, twice."""
    image, _ = looked_at_again(harness)
    results = {
        Stage.PREPROCESS: prepared("prepared/late"),
        Stage.INFERENCE: inspected("late"),
        Stage.GATE: replace(outcome(Verdict.PASS), looks=(FIRST, SECOND), found=inspected("late")),
    }
    late = None
    for stage, result in (
        (Stage.PREPROCESS, prepared("prepared/crop")),
        (Stage.INFERENCE, inspected("dent")),
        (Stage.GATE, replace(outcome(Verdict.FAIL), looks=(FIRST, SECOND), found=inspected("box", "dent"))),
    ):
        if stage is late_in:
            late = must_claim(harness.progress, stage, image, "late", look=2)
            harness.advance(EXPIRE_S)
        assert complete(harness.progress, must_claim(harness.progress, stage, image, look=2), result)
    assert late is not None
    before, audited = record(harness, image), harness.audit()
    waiting(harness)
    for _ in range(2):
        assert complete(harness.progress, late, results[late_in]) is False
        harness.progress.give_back([late], Ending.ERROR, "late")
    assert record(harness, image) == before
    assert (waiting(harness), harness.audit()) == ([], audited)
    assert len(harness.results.outcomes_after(frozenset({FACILITY}), 0, 10)) == 1


@pytest.mark.parametrize("stage", [Stage.PREPROCESS, Stage.INFERENCE, Stage.GATE])
def test_a_worker_that_dies_in_a_second_look_is_replaced_and_the_image_still_ends_once(
    harness: Harness, stage: Stage
) -> None:
    image, _ = looked_at_again(harness)
    for step, result in (
        (Stage.PREPROCESS, prepared("prepared/crop")),
        (Stage.INFERENCE, inspected("dent")),
        (Stage.GATE, replace(outcome(Verdict.REVIEW), looks=(FIRST, SECOND), found=inspected("box"))),
    ):
        if step is stage:
            must_claim(harness.progress, step, image, "dies", look=2)
            harness.progress.recover("dies")
        held = must_claim(harness.progress, step, image, look=2)
        assert first_of(held).region == REGION
        assert complete(harness.progress, held, result)
    assert record(harness, image).verdict is Verdict.REVIEW
    assert len(harness.results.outcomes_after(frozenset({FACILITY}), 0, 10)) == 1
    assert harness.upkeep.conservation().lost == 0
    assert [check for check in harness.upkeep.check_invariants() if check.violations] == []


def test_the_sweeper_brings_back_an_image_whose_second_look_was_lost(harness: Harness) -> None:
    image, _ = looked_at_again(harness)
    harness.purge()
    harness.advance(120)
    assert harness.upkeep.reissue_overdue({ImageState.RECEIVED: LEASE}, 10)
    assert waiting(harness) == [("frame-submitted-live", FrameSubmitted(FACILITY, image.image_id, 2, Lane.LIVE))]
    assert first_of(must_claim(harness.progress, Stage.PREPROCESS, image, look=2)).region == REGION


def test_crashes_of_the_first_look_do_not_count_in_the_second(harness: Harness) -> None:
    image = accept(harness.intake)
    advance_to(harness.progress, image, Stage.GATE)
    harness.progress.give_back([must_claim(harness.progress, Stage.GATE, image)], Ending.CRASH, "died")
    held = must_claim(harness.progress, Stage.GATE, image)
    assert (held.crashes, held.solo) == (1, True)
    assert complete(harness.progress, held, LookAgain(REGION))
    again = must_claim(harness.progress, Stage.PREPROCESS, image, look=2)
    assert (again.attempt, again.crashes, again.solo) == (1, 0, False)


def test_a_copy_of_the_same_bytes_is_told_of_the_same_looks(harness: Harness) -> None:
    serve(harness.registry)
    harness.policies.add_policy(FACILITY, {"schema": 1}, "test")
    image = accept(harness.intake, sha256="cd" * 32)
    advance_to(harness.progress, image, Stage.GATE)
    assert complete(harness.progress, must_claim(harness.progress, Stage.GATE, image), LookAgain(REGION))
    for stage, result in ((Stage.PREPROCESS, prepared()), (Stage.INFERENCE, inspected("hole"))):
        assert complete(harness.progress, must_claim(harness.progress, stage, image, look=2), result)
    end = Outcome(ImageState.DECIDED, Verdict.PASS, "clear", "Clear.", 1, (), (FIRST, SECOND), inspected("box"))
    assert complete(harness.progress, must_claim(harness.progress, Stage.GATE, image, look=2), end)
    copy = record(harness, accept(harness.intake, sha256="cd" * 32))
    assert (copy.reused_from, copy.looks, len(copy.detections)) == (image.image_id, (FIRST, SECOND), 1)


def test_a_second_look_that_failed_is_not_taken_over_by_a_copy_of_the_same_bytes(harness: Harness) -> None:
    serve(harness.registry)
    harness.policies.add_policy(FACILITY, {"schema": 1}, "test")
    image = accept(harness.intake, sha256="ef" * 32)
    end = Outcome(ImageState.DECIDED, Verdict.REVIEW, LOOK_FAILED, "It came to nothing.", 1, (), (FIRST, SECOND))
    decide(harness.progress, image, end)
    copy = record(harness, accept(harness.intake, sha256="ef" * 32))
    assert (copy.duplicate_of, copy.state) == (image.image_id, ImageState.RECEIVED)
