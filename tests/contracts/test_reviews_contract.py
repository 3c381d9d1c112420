"""Decisions at the review desk: one for each version of an item, and nothing by accident."""

from dataclasses import replace
from uuid import uuid4

import pytest

from framegate.kernel.reviews import LATELY, Choice, Decision, Redrawn, Review, ReviewConflict, ReviewRefused, Tally
from framegate.kernel.states import Verdict

from .examples import MODEL, OTHER_FACILITY, accept, decide, outcome
from .harness import Harness, record, seconds
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
    settle,
    together,
    unbroken,
)


def test_of_many_decisions_at_once_exactly_one_is_accepted_and_all_are_audited(harness: Harness) -> None:
    image = doubtful(harness)
    item = current(harness, image)
    people = [f"person {n}" for n in range(8)]
    found = together(*[lambda actor=actor: say(harness, item, PASS, actor) for actor in people])
    (accepted,) = [one for one in found if isinstance(one, Review)]
    assert sum(isinstance(one, ReviewConflict) for one in found) == 7
    assert [review.review_id for review in record(harness, image).reviews] == [accepted.review_id]
    entries = audited(harness, image)
    assert {actor for actor, _ in entries} == set(people)
    assert sorted(action for _, action in entries) == ["review.decided", *["review.refused"] * 7]
    unbroken(harness)


def test_the_second_of_two_decisions_learns_that_it_is_second_and_both_are_audited(harness: Harness) -> None:
    image = doubtful(harness)
    (item,) = next_for(harness, ANN)
    say(harness, item, FAIL)
    with pytest.raises(ReviewConflict, match="decided meanwhile"):
        say(harness, item, PASS, BEN)
    with pytest.raises(ReviewConflict, match="decided meanwhile"):
        say(harness, item, PASS)
    assert audited(harness, image)[1:] == [
        (ANN, "review.decided"),
        (BEN, "review.refused"),
        (ANN, "review.refused"),
    ]
    assert record(harness, image).effective_verdict is Verdict.FAIL


def test_the_same_decision_sent_again_is_answered_with_the_first_one(harness: Harness) -> None:
    image = doubtful(harness)
    (item,) = next_for(harness, ANN)
    drawn = replace(FAIL, boxes=(Redrawn("dent", (1.5, 2, 30, 40)),), note="left corner")
    assert say(harness, item, drawn) == say(harness, item, drawn)
    assert len(record(harness, image).reviews) == 1
    assert [action for _, action in audited(harness, image)] == ["review.leased", "review.decided"]


def test_one_key_press_never_decides_two_items(harness: Harness) -> None:
    first, second = (doubtful(harness) for _ in range(2))
    items = {item.image_id: item for item in next_for(harness, ANN, 2)}
    on_screen, coming = items[first.image_id], items[second.image_id]
    say(harness, on_screen, PASS)
    # The key is pressed twice, the page has gone on, and the next picture is not there yet.
    with pytest.raises(ReviewRefused) as refused:
        say(harness, coming, PASS, shown=on_screen.sha256)
    assert refused.value.slug == "review-not-shown"
    assert current(harness, second).is_open
    assert record(harness, second).reviews == ()
    assert audited(harness, second) == [(ANN, "review.leased"), (ANN, "review.refused")]


@pytest.mark.parametrize("shown", ["", "0" * 64])
@pytest.mark.parametrize("decision", [PASS, FAIL, Decision(Choice.CANNOT_TELL)])
def test_a_decision_on_another_picture_counts_for_nothing(harness: Harness, shown: str, decision: Decision) -> None:
    image = doubtful(harness)
    (item,) = next_for(harness, ANN)
    with pytest.raises(ReviewRefused, match="load it, look"):
        say(harness, item, decision, shown=shown)
    assert current(harness, image) == item


def test_a_decision_is_kept_whole_and_the_outcome_stays_as_it_was(harness: Harness) -> None:
    image = doubtful(harness)
    (item,) = next_for(harness, ANN)
    drawn = replace(FAIL, boxes=(Redrawn("dent", (1.5, 2.0, 30.0, 40.0)),), note="left corner")
    say(harness, item, drawn)
    found = record(harness, image)
    (review,) = found.reviews
    assert review.decision == drawn
    assert (review.reviewer, review.version, review.shown_sha256) == (ANN, item.version, image.sha256)
    assert review.undo_until is not None
    assert review.undo_until - review.at == UNDO
    assert (found.verdict, found.effective_verdict) == (Verdict.REVIEW, Verdict.FAIL)
    assert harness.reviews.backlog().open == 0


def test_boxes_must_be_in_the_upright_picture(harness: Harness) -> None:
    image = accept(harness.intake, orientation=6)  # 64 x 48 as stored, so 48 x 64 upright
    decide(harness.progress, image, outcome(Verdict.REVIEW))
    (item,) = next_for(harness, ANN)
    assert (item.width, item.height) == (48, 64)
    for box in ((0, 0, 49, 10), (5, 0, 5, 10), (-1, 0, 5, 10)):
        with pytest.raises(ReviewRefused, match="48 x 64") as refused:
            say(harness, item, replace(FAIL, boxes=(Redrawn("dent", box),)))
        assert refused.value.slug == "review-box-outside"
    say(harness, item, replace(FAIL, boxes=(Redrawn("dent", (0, 0, 48, 64)),)))


def test_who_cannot_tell_closes_the_item_and_the_automatic_verdict_stands(harness: Harness) -> None:
    image = doubtful(harness)
    (item,) = next_for(harness, ANN)
    say(harness, item, Decision(Choice.CANNOT_TELL, note="too dark"))
    assert record(harness, image).effective_verdict is Verdict.REVIEW
    assert harness.reviews.backlog().open == 0
    harness.advance(31)
    assert settle(harness, 10) == 1
    assert harness.alerts() == []
    unbroken(harness)


def test_a_decision_can_be_taken_back_and_nothing_came_of_it(harness: Harness) -> None:
    image = doubtful(harness)
    (item,) = next_for(harness, ANN)
    review = say(harness, item, FAIL)
    harness.advance(20)
    assert settle(harness, 10) == 0
    undone = harness.reviews.undo(HERE, review.review_id, ANN, LEASE)
    assert undone is not None
    assert (undone.decision.choice, undone.undoes) == (Choice.UNDO, review.review_id)
    found = record(harness, image)
    assert found.effective_verdict is Verdict.REVIEW
    assert [one.decision.choice for one in found.reviews] == [Choice.FAIL, Choice.UNDO]
    harness.advance(20)
    assert settle(harness, 10) == 0
    assert harness.alerts() == []
    again = current(harness, image)
    assert (again.is_open, again.leased_by) == (True, ANN)
    say(harness, again, PASS)
    assert record(harness, image).effective_verdict is Verdict.PASS
    assert [action for _, action in audited(harness, image)] == [
        "review.leased",
        "review.decided",
        "review.undone",
        "review.decided",
    ]
    unbroken(harness)


def test_only_its_own_reviewer_takes_a_decision_back_and_only_in_time(harness: Harness) -> None:
    image = doubtful(harness)
    (item,) = next_for(harness, ANN)
    review = say(harness, item, FAIL)
    with pytest.raises(ReviewRefused, match="only its own reviewer"):
        harness.reviews.undo(HERE, review.review_id, BEN, LEASE)
    assert harness.reviews.undo(THERE, review.review_id, ANN, LEASE) is None
    assert harness.reviews.undo(HERE, uuid4(), ANN, LEASE) is None
    harness.advance(31)
    with pytest.raises(ReviewRefused, match="time for that is over") as refused:
        harness.reviews.undo(HERE, review.review_id, ANN, LEASE)
    assert refused.value.slug == "review-final"
    assert record(harness, image).effective_verdict is Verdict.FAIL
    assert [actor for actor, action in audited(harness, image) if action == "review.refused"] == [BEN, ANN]


def test_nothing_is_taken_back_twice(harness: Harness) -> None:
    doubtful(harness)
    (item,) = next_for(harness, ANN)
    review = say(harness, item, PASS)
    harness.reviews.undo(HERE, review.review_id, ANN, LEASE)
    with pytest.raises(ReviewRefused):
        harness.reviews.undo(HERE, review.review_id, ANN, LEASE)


def test_sampled_passes_say_how_many_defects_escape_by_camera_class_and_model(harness: Harness) -> None:
    for n in range(5):
        passed(harness, 1.0, camera=f"dock-{n % 2}")
    for n, item in enumerate(sorted(next_for(harness, ANN, 10), key=lambda item: item.camera)):
        choice = FAIL if n == 0 else Decision(Choice.CANNOT_TELL) if n == 1 else PASS
        say(harness, item, choice)
    doubtful_one = doubtful(harness)
    say(harness, current(harness, doubtful_one), FAIL)
    stats = harness.reviews.stats(HERE)
    found = {(tally.kind, tally.name): (tally.judged, tally.escaped, tally.unclear) for tally in stats.tallies}
    assert found == {
        ("all", ""): (4, 1, 1),
        ("camera", "dock-0"): (2, 1, 1),
        ("camera", "dock-1"): (2, 0, 0),
        ("model", MODEL): (4, 1, 1),
        ("class", "dent"): (4, 1, 0),
    }
    assert {name: dict(counts) for name, counts in stats.reviewers.items()} == {
        ANN: {"pass": 3, "fail": 2, "cannot-tell": 1}
    }


def test_what_lately_escaped_is_told_by_model_of_all_facilities(harness: Harness) -> None:
    passed(harness, 1.0)
    (long_ago,) = next_for(harness, ANN)
    say(harness, long_ago, FAIL)
    harness.advance((LATELY - seconds(60)).total_seconds())
    passed(harness, 1.0)
    passed(harness, 1.0, facility=OTHER_FACILITY)
    for item in harness.reviews.lease(HERE | THERE, BEN, 10, LEASE):
        harness.reviews.decide(HERE | THERE, item.image_id, item.version, item.sha256, PASS, BEN, UNDO)
    assert harness.reviews.escapes() == [Tally("model", MODEL, judged=3, escaped=1)]
    harness.advance(120)
    assert harness.reviews.escapes() == [Tally("model", MODEL, judged=2, escaped=0)]
    say(harness, current(harness, doubtful(harness)), FAIL)
    assert harness.reviews.escapes() == [Tally("model", MODEL, judged=2, escaped=0)]


def test_what_was_taken_back_counts_for_nobody(harness: Harness) -> None:
    passed(harness, 1.0)
    (item,) = next_for(harness, ANN)
    review = say(harness, item, FAIL)
    harness.reviews.undo(HERE, review.review_id, ANN, LEASE)
    stats = harness.reviews.stats(HERE)
    assert (dict(stats.reviewers), list(stats.tallies), stats.open, stats.leased) == ({}, [], 1, 1)
    assert stats.oldest_at == item.opened_at


def test_what_people_said_last_is_listed_newest_first_and_only_of_the_facilities_that_are_asked_for(
    harness: Harness,
) -> None:
    doubtful(harness)
    doubtful(harness)
    first, second = next_for(harness, ANN, 2)
    failed = say(harness, first, FAIL)
    harness.advance(1)
    undone = harness.reviews.undo(HERE, failed.review_id, ANN, LEASE)
    harness.advance(1)
    skipped = say(harness, second, Decision(Choice.SKIP), shown="")
    assert harness.reviews.latest(HERE, 10) == [skipped, undone, failed]
    assert harness.reviews.latest(HERE | THERE, 1) == [skipped]
    assert harness.reviews.latest(THERE, 10) == []
