"""The review desk: one person for each item, one decision for each version, and nothing by accident."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import Any
from uuid import UUID, uuid4

import pytest

from framegate.kernel.ids import FacilityId, ImageId
from framegate.kernel.inspection import Alert
from framegate.kernel.reviews import (
    Choice,
    Decision,
    Origin,
    Redrawn,
    Review,
    ReviewConflict,
    ReviewRefused,
)
from framegate.kernel.states import Lane, Verdict
from framegate.ports.audit import AuditFilter
from framegate.ports.reviews import DecidedFilter, DecidedImage, ReviewItem
from framegate.ports.store import NewImage

from .examples import CAMERA, FACILITY, MODEL, OTHER_FACILITY, accept, decide, new_image, outcome, serve
from .harness import Harness, record, seconds

HERE, THERE = frozenset({FACILITY}), frozenset({OTHER_FACILITY})
LEASE, UNDO = seconds(300), seconds(30)
ANN, BEN = "Ann (a)", "Ben (b)"
PASS, FAIL = Decision(Choice.PASS), Decision(Choice.FAIL, "dent")


def doubtful(harness: Harness, weight: float = 1.0, facility: FacilityId = FACILITY) -> NewImage:
    image = accept(harness.intake, facility=facility)
    decide(harness.progress, image, replace(outcome(Verdict.REVIEW), weight=weight))
    return image


def next_for(harness: Harness, actor: str, limit: int = 1) -> list[ReviewItem]:
    return harness.reviews.lease(HERE, actor, limit, LEASE)


def say(harness: Harness, item: ReviewItem, decision: Decision, actor: str = ANN, shown: str | None = None) -> Review:
    shown = item.sha256 if shown is None else shown
    done = harness.reviews.decide(HERE, item.image_id, item.version, shown, decision, actor, UNDO)
    assert done is not None
    return done


def current(harness: Harness, image: NewImage) -> ReviewItem:
    found = harness.reviews.item(HERE, image.image_id)
    assert found is not None
    return found


def settle(harness: Harness, limit: int, *alerts: Alert) -> int:
    """Each fail is told by `alerts`, or by one that names what was said of which image."""

    def tell(decided: DecidedImage) -> Sequence[Alert]:
        said = decided.review.decision.name
        return alerts or [Alert("damage", "critical", f"camera/{decided.record.facts.camera}", said)]

    return harness.reviews.settle(limit, tell)


def audited(harness: Harness, image: NewImage) -> list[tuple[str, str]]:
    entries = [entry for entry in harness.audit() if entry.object == str(image.image_id)]
    return [(entry.actor, entry.action) for entry in entries if entry.action.startswith("review.")]


def unbroken(harness: Harness) -> None:
    assert [check for check in harness.upkeep.check_invariants() if check.violations] == []


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


def together(*calls: Callable[[], object]) -> list[object]:
    barrier = Barrier(len(calls))

    def call(one: Callable[[], object]) -> object:
        barrier.wait(20)
        try:
            return one()
        except (ReviewConflict, ReviewRefused) as error:
            return error

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(call, calls))


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


def test_a_fail_is_told_once_when_it_cannot_be_taken_back_any_more(harness: Harness) -> None:
    image = doubtful(harness)
    (item,) = next_for(harness, ANN)
    say(harness, item, FAIL)
    harness.advance(31)
    assert [settle(harness, 10), settle(harness, 10)] == [1, 0]
    (alert,) = harness.alerts()
    assert (alert.image_id, alert.rule, alert.severity, alert.subject) == (
        str(image.image_id),
        "damage",
        "critical",
        f"camera/{CAMERA}",
    )
    assert ("framegate", "review.settled") in audited(harness, image)
    unbroken(harness)


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


def passed(harness: Harness, share: float, **changes: object) -> NewImage:
    image = accept(harness.intake, **changes)
    decide(harness.sampling(share), image, outcome(Verdict.PASS))
    return image


def test_a_sampled_pass_waits_like_any_other_item_and_its_outcome_is_a_pass(harness: Harness) -> None:
    image, not_sampled = passed(harness, 1.0), passed(harness, 0.0)
    (item,) = next_for(harness, ANN, 10)
    assert (item.image_id, item.origin, item.automatic) == (image.image_id, Origin.SAMPLE, Verdict.PASS)
    assert record(harness, image).verdict is record(harness, image).effective_verdict is Verdict.PASS
    assert harness.reviews.item(HERE, not_sampled.image_id) is None


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


def test_what_was_taken_back_counts_for_nobody(harness: Harness) -> None:
    passed(harness, 1.0)
    (item,) = next_for(harness, ANN)
    review = say(harness, item, FAIL)
    harness.reviews.undo(HERE, review.review_id, ANN, LEASE)
    stats = harness.reviews.stats(HERE)
    assert (dict(stats.reviewers), list(stats.tallies), stats.open, stats.leased) == ({}, [], 1, 1)
    assert stats.oldest_at == item.opened_at


def serving(harness: Harness) -> None:
    serve(harness.registry)
    harness.policies.add_policy(FACILITY, {"classes": {}}, "test")


def reuses(harness: Harness, data: bytes) -> UUID | None:
    image = new_image(data)
    harness.intake.accept([image])
    return record(harness, image).reused_from


def test_an_overturned_verdict_is_not_reused_any_more(harness: Harness) -> None:
    serving(harness)
    image = passed(harness, 1.0, data=b"same")
    assert reuses(harness, b"same") == image.image_id
    (item,) = next_for(harness, ANN)
    review = say(harness, item, FAIL)
    assert reuses(harness, b"same") is None
    harness.reviews.undo(HERE, review.review_id, ANN, LEASE)
    assert reuses(harness, b"same") is not None
    say(harness, current(harness, image), PASS)
    assert reuses(harness, b"same") is not None


def test_people_are_asked_about_images_that_had_reused_what_was_overturned(harness: Harness) -> None:
    serving(harness)
    image = passed(harness, 1.0, data=b"same")
    copy = new_image(b"same", lane=Lane.BULK)
    harness.intake.accept([copy])
    assert harness.reviews.item(HERE, copy.image_id) is None
    (item,) = next_for(harness, ANN)
    say(harness, item, FAIL)
    assert harness.reviews.item(HERE, copy.image_id) is None
    harness.advance(31)
    settle(harness, 10)
    asked = current(harness, copy)
    assert (asked.origin, asked.automatic, asked.is_open) == (Origin.DUPLICATE, Verdict.PASS, True)
    assert image.image_id != copy.image_id
    unbroken(harness)


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


def test_a_reused_review_waits_for_people_too(harness: Harness) -> None:
    serving(harness)
    first = accept(harness.intake, data=b"same")
    decide(harness.progress, first, replace(outcome(Verdict.REVIEW), weight=2.5))
    assert reuses(harness, b"same") == first.image_id
    assert len(harness.reviews.items(HERE, 10)) == 2


def final(harness: Harness, **conditions: Any) -> list[UUID]:
    """Read page by page, one image at a time."""
    found: list[UUID] = []
    where = DecidedFilter(FACILITY, **conditions)
    while page := harness.reviews.decided(where, 1):
        found.append(page[0].record.facts.image_id)
        where = replace(where, before=page[0].record.facts.image_id)
    return found


def test_what_is_final_is_read_with_its_decision_newest_image_first(harness: Harness) -> None:
    first, second, third = doubtful(harness), passed(harness, 1.0), doubtful(harness)
    drawn = replace(FAIL, boxes=(Redrawn("dent", (1.0, 2.0, 30.0, 40.0)),))
    for image, decision in ((first, drawn), (second, PASS), (third, Decision(Choice.CANNOT_TELL))):
        say(harness, current(harness, image), decision)
    assert final(harness) == []
    harness.advance(31)
    assert final(harness) == [third.image_id, second.image_id, first.image_id]
    settle(harness, 10)
    found = harness.reviews.decided(DecidedFilter(FACILITY), 10)
    assert [(one.origin, one.review.decision) for one in found] == [
        (Origin.VERDICT, Decision(Choice.CANNOT_TELL)),
        (Origin.SAMPLE, PASS),
        (Origin.VERDICT, drawn),
    ]
    assert found[2].record == record(harness, first)
    assert harness.reviews.decided(DecidedFilter(OTHER_FACILITY), 10) == []


def test_what_was_taken_back_or_skipped_is_not_final(harness: Harness) -> None:
    undone, skipped = doubtful(harness), doubtful(harness)
    review = say(harness, current(harness, undone), FAIL)
    harness.reviews.undo(HERE, review.review_id, ANN, LEASE)
    say(harness, current(harness, skipped), Decision(Choice.SKIP), shown="")
    harness.advance(31)
    assert final(harness) == []
    say(harness, current(harness, undone), PASS)
    harness.advance(31)
    (found,) = harness.reviews.decided(DecidedFilter(FACILITY), 10)
    assert found.review.decision == PASS


def test_final_decisions_are_found_by_camera_and_by_when_the_image_came(harness: Harness) -> None:
    here, there = accept(harness.intake), accept(harness.intake, camera="dock-8")
    for image in (here, there):
        decide(harness.progress, image, outcome(Verdict.REVIEW))
        say(harness, current(harness, image), PASS)
    harness.advance(31)
    at = record(harness, there).facts.received_at
    assert final(harness, camera=CAMERA) == [here.image_id]
    assert there.image_id in final(harness, received_since=at)
    assert there.image_id not in final(harness, received_until=at)


def copies(harness: Harness, data: bytes, count: int) -> list[UUID]:
    images = [new_image(data) for _ in range(count)]
    harness.intake.accept(images)
    assert all(record(harness, image).reused_from for image in images)
    return [image.image_id for image in images]


def bodies(harness: Harness, image: NewImage, action: str) -> list[dict[str, Any]]:
    entries = harness.audit_log.entries(AuditFilter(object=str(image.image_id)), 100)
    return [dict(entry.body) for entry in entries if entry.action == action]


def test_the_audit_names_the_images_that_people_are_asked_about_again(harness: Harness) -> None:
    serving(harness)
    image = passed(harness, 1.0, data=b"same")
    asked = copies(harness, b"same", 2)
    review = say(harness, current(harness, image), FAIL)
    harness.advance(31)
    assert settle(harness, 10) == 1
    (body,) = bodies(harness, image, "review.settled")
    assert body == {"review": str(review.review_id), "choice": "fail", "asked_again": [str(one) for one in asked]}


def test_of_many_copies_of_an_overturned_verdict_people_are_asked_a_batch_at_a_time(harness: Harness) -> None:
    serving(harness)
    image = passed(harness, 1.0, data=b"same")
    asked = copies(harness, b"same", 7)
    say(harness, current(harness, image), FAIL)
    other = doubtful(harness)
    say(harness, current(harness, other), FAIL)
    harness.advance(31)
    waiting = []
    while settle(harness, 3):
        waiting.append(harness.reviews.backlog().open)
    assert waiting == [3, 6, 7]
    assert {item.image_id for item in harness.reviews.items(HERE, 10)} == {*asked}
    batches = [*bodies(harness, image, "review.asked-again"), *bodies(harness, image, "review.settled")]
    assert [len(body["asked_again"]) for body in batches] == [3, 3, 1]
    assert len(bodies(harness, other, "review.settled")) == 1
    assert sorted(alert.image_id for alert in harness.alerts()) == sorted([str(image.image_id), str(other.image_id)])
    unbroken(harness)


def test_a_copy_that_says_otherwise_than_people_is_asked_about_whichever_outcome_it_came_from(harness: Harness) -> None:
    serving(harness)
    passed(harness, 0.0, data=b"same")
    (copy,) = copies(harness, b"same", 1)
    harness.policies.add_policy(FACILITY, {"classes": {"dent": {}}}, "test")
    anew = accept(harness.intake, data=b"same")
    decide(harness.progress, anew, outcome(Verdict.REVIEW, 2))
    say(harness, current(harness, anew), FAIL)
    harness.advance(31)
    settle(harness, 10)
    item = harness.reviews.item(HERE, ImageId(copy))
    assert item is not None
    assert (item.origin, item.automatic) == (Origin.DUPLICATE, Verdict.PASS)
    assert record(harness, anew).verdict is Verdict.REVIEW


def test_nobody_is_asked_about_a_picture_that_was_erased(harness: Harness) -> None:
    serving(harness)
    image, waiting = passed(harness, 1.0, data=b"same"), doubtful(harness)
    there, gone = copies(harness, b"same", 2)
    for erased in (waiting.image_id, ImageId(gone)):
        harness.retention.erase(FACILITY, erased, "asked for by the person", "lead")
    assert harness.reviews.backlog().open == harness.reviews.stats(HERE).open == 1
    assert [item.image_id for item in harness.reviews.items(HERE, 10)] == [image.image_id]
    (item,) = next_for(harness, ANN, 10)
    say(harness, item, FAIL)
    harness.advance(31)
    settle(harness, 10)
    assert [item.image_id for item in next_for(harness, ANN, 10)] == [there]
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


def test_people_who_agree_or_take_it_back_ask_about_no_copy(harness: Harness) -> None:
    serving(harness)
    image = passed(harness, 1.0, data=b"same")
    copies(harness, b"same", 1)
    review = say(harness, current(harness, image), FAIL)
    harness.reviews.undo(HERE, review.review_id, ANN, LEASE)
    say(harness, current(harness, image), PASS)
    harness.advance(31)
    assert settle(harness, 10) == 1
    assert harness.reviews.items(HERE, 10) == []
    assert "asked_again" not in bodies(harness, image, "review.settled")[0]


def test_a_fail_is_told_by_every_rule_that_is_given_once_each(harness: Harness) -> None:
    image = accept(harness.intake)
    decide(harness.progress, image, outcome(Verdict.REVIEW, 1, Alert("doubts", "warning", "camera/dock-7", "A doubt.")))
    say(harness, current(harness, image), FAIL)
    harness.advance(31)
    damage = Alert("dents", "warning", "class/dent", "A dent.", 60.0, None)
    settle(harness, 10, damage, Alert("doubts", "critical", "camera/dock-7", "Told already."))
    told = [(alert.rule, alert.severity, alert.subject) for alert in harness.alerts()]
    assert told == [("doubts", "warning", "camera/dock-7"), ("dents", "warning", "class/dent")]


def test_what_is_told_is_given_the_image_and_the_word_about_it(harness: Harness) -> None:
    image = doubtful(harness)
    review = say(harness, current(harness, image), FAIL)
    harness.advance(31)
    seen: list[DecidedImage] = []

    def tell(decided: DecidedImage) -> Sequence[Alert]:
        seen.append(decided)
        return ()

    assert harness.reviews.settle(10, tell) == 1
    assert seen == [DecidedImage(record(harness, image), Origin.VERDICT, review)]
    assert harness.alerts() == []


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
