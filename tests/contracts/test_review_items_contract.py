"""What waits at the review desk, in which order, and in whose hands: one person for each item."""

import pytest

from framegate.kernel.reviews import Choice, Decision, Origin, ReviewConflict
from framegate.kernel.states import Verdict

from .examples import CAMERA, FACILITY, OTHER_FACILITY, accept, decide, outcome
from .harness import Harness, record
from .reviewing import (
    ANN,
    BEN,
    FAIL,
    HERE,
    LEASE,
    PASS,
    THERE,
    UNDO,
    audited,
    current,
    doubtful,
    next_for,
    passed,
    say,
    together,
    unbroken,
)


def test_what_the_gate_leaves_to_people_waits_for_them_and_nothing_else_does(harness: Harness) -> None:
    image = doubtful(harness)
    for verdict in (Verdict.PASS, Verdict.FAIL, None):
        decide(harness.progress, accept(harness.intake), outcome(verdict))
    (item,) = next_for(harness, ANN, 10)
    assert (item.image_id, item.sha256, item.camera, item.automatic) == (
        image.image_id,
        image.sha256,
        CAMERA,
        Verdict.REVIEW,
    )
    assert (item.origin, item.is_open, item.leased_by, item.version) == (Origin.VERDICT, True, ANN, 2)
    assert [name for name, _, _ in item.detections] == ["box"]
    assert harness.reviews.backlog().open == 1


def test_the_riskiest_comes_first_and_age_makes_every_item_riskier(harness: Harness) -> None:
    old = doubtful(harness, 0.5)
    harness.advance(600)
    grave, slight = doubtful(harness, 2.9), doubtful(harness, 0.2)
    order = [item.image_id for item in harness.reviews.items(HERE, 10)]
    assert order == [old.image_id, grave.image_id, slight.image_id]
    assert [item.image_id for item in next_for(harness, ANN, 10)] == order
    assert [item.image_id for item in harness.reviews.items(HERE, 1)] == [old.image_id]
    assert harness.reviews.backlog().oldest_s == pytest.approx(600, abs=30)


def test_two_people_never_get_the_same_item_and_each_keeps_its_own(harness: Harness) -> None:
    for _ in range(4):
        doubtful(harness)
    first, second = next_for(harness, ANN, 2), next_for(harness, BEN, 3)
    assert {len(first), len(second)} == {2}
    assert not {item.image_id for item in first} & {item.image_id for item in second}
    again = next_for(harness, ANN, 2)
    assert [(item.image_id, item.version) for item in again] == [(item.image_id, item.version) for item in first]


def test_asking_at_the_same_moment_gives_each_person_items_of_its_own(harness: Harness) -> None:
    for _ in range(12):
        doubtful(harness)
    people = [f"person {n}" for n in range(6)]
    found = together(*[lambda actor=actor: next_for(harness, actor, 2) for actor in people])
    images = [item.image_id for items in found for item in items]
    assert len(images) == len(set(images))


def test_a_lease_that_ends_gives_the_item_to_the_next_person_and_the_first_has_lost_it(harness: Harness) -> None:
    image = doubtful(harness)
    (lost,) = next_for(harness, ANN)
    assert next_for(harness, BEN) == []
    harness.advance(LEASE.total_seconds() + 1)
    (item,) = next_for(harness, BEN)
    assert (item.image_id, item.version) == (image.image_id, lost.version + 1)
    with pytest.raises(ReviewConflict, match="somebody else's hands"):
        say(harness, lost, PASS)
    assert say(harness, item, FAIL, BEN).reviewer == BEN
    assert audited(harness, image) == [
        (ANN, "review.leased"),
        (BEN, "review.leased"),
        (ANN, "review.refused"),
        (BEN, "review.decided"),
    ]


def test_asking_again_begins_the_lease_anew(harness: Harness) -> None:
    doubtful(harness)
    next_for(harness, ANN)
    harness.advance(200)
    next_for(harness, ANN)
    harness.advance(200)
    assert next_for(harness, BEN) == []


def test_an_item_that_is_given_back_is_there_for_others_at_once(harness: Harness) -> None:
    image = doubtful(harness)
    (item,) = next_for(harness, ANN)
    assert harness.reviews.release(HERE, image.image_id, BEN) is False
    assert harness.reviews.release(THERE, image.image_id, ANN) is None
    assert harness.reviews.release(HERE, image.image_id, ANN) is True
    assert harness.reviews.release(HERE, image.image_id, ANN) is False
    (taken,) = next_for(harness, BEN)
    assert taken.version == item.version + 2


def test_what_one_person_skips_others_decide_and_it_comes_last_for_who_skipped_it(harness: Harness) -> None:
    skipped, other = doubtful(harness, 3.0), doubtful(harness, 0.1)
    (item,) = next_for(harness, ANN)
    assert item.image_id == skipped.image_id
    say(harness, item, Decision(Choice.SKIP), shown="")
    assert [one.image_id for one in next_for(harness, ANN, 2)] == [other.image_id, skipped.image_id]
    harness.reviews.release(HERE, skipped.image_id, ANN)
    harness.reviews.release(HERE, other.image_id, ANN)
    assert [one.image_id for one in next_for(harness, BEN, 2)] == [skipped.image_id, other.image_id]
    assert (ANN, "review.skipped") in audited(harness, skipped)
    assert record(harness, skipped).effective_verdict is Verdict.REVIEW


def test_another_facilitys_item_is_not_there(harness: Harness) -> None:
    image = doubtful(harness, facility=OTHER_FACILITY)
    assert next_for(harness, ANN) == []
    assert harness.reviews.item(HERE, image.image_id) is None
    assert harness.reviews.items(HERE, 10) == []
    assert harness.reviews.decide(HERE, image.image_id, 1, image.sha256, PASS, ANN, UNDO) is None
    assert harness.reviews.stats(HERE).open == 0
    (item,) = harness.reviews.lease(THERE, ANN, 1, LEASE)
    assert item.facility == OTHER_FACILITY
    assert harness.reviews.stats(HERE | THERE).leased == 1


def test_a_sampled_pass_waits_like_any_other_item_and_its_outcome_is_a_pass(harness: Harness) -> None:
    image, not_sampled = passed(harness, 1.0), passed(harness, 0.0)
    (item,) = next_for(harness, ANN, 10)
    assert (item.image_id, item.origin, item.automatic) == (image.image_id, Origin.SAMPLE, Verdict.PASS)
    assert record(harness, image).verdict is record(harness, image).effective_verdict is Verdict.PASS
    assert harness.reviews.item(HERE, not_sampled.image_id) is None


def test_images_that_ended_before_there_was_a_desk_get_items_once_oldest_first(harness: Harness) -> None:
    old = [doubtful(harness, 2.0) for _ in range(3)]
    doubtful(harness, facility=OTHER_FACILITY)
    passed(harness, 0.0)
    harness.forget_items()
    new = doubtful(harness)
    assert harness.reviews.backfill(FACILITY, ANN, 2) == 2
    assert harness.reviews.item(HERE, old[2].image_id) is None
    assert [harness.reviews.backfill(FACILITY, ANN, 2) for _ in range(2)] == [1, 0]
    items = harness.reviews.items(HERE, 10)
    assert {item.image_id for item in items} == {*(image.image_id for image in old), new.image_id}
    assert {(item.origin, item.automatic, item.version) for item in items} == {(Origin.VERDICT, Verdict.REVIEW, 1)}
    assert harness.reviews.backlog().oldest_s == pytest.approx(0, abs=30)
    assert [entry.actor for entry in harness.audit() if entry.action == "review.backfilled"] == [ANN, ANN]
    say(harness, current(harness, old[0]), FAIL)
    assert harness.reviews.backfill(FACILITY, ANN, 2) == 0
    unbroken(harness)


def test_no_item_is_made_anew_for_a_picture_that_was_erased(harness: Harness) -> None:
    image = doubtful(harness)
    harness.forget_items()
    harness.retention.erase(FACILITY, image.image_id, "asked for by the person", "lead")
    assert harness.reviews.backfill(FACILITY, ANN, 10) == 0


def test_what_is_in_hand_is_not_renewed_when_it_was_erased(harness: Harness) -> None:
    image = doubtful(harness)
    assert len(next_for(harness, ANN)) == 1
    harness.retention.erase(FACILITY, image.image_id, "asked for by the person", "lead")
    assert next_for(harness, ANN) == []
