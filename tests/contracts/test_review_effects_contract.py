"""What follows from decisions at the review desk, once they are final: alerts, labels, and questions about copies."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from framegate.kernel.ids import ImageId
from framegate.kernel.inspection import Alert
from framegate.kernel.reviews import Choice, Decision, Origin, Redrawn
from framegate.kernel.states import Lane, Verdict
from framegate.ports.audit import AuditFilter
from framegate.ports.reviews import DecidedFilter, DecidedImage
from framegate.ports.store import NewImage

from .examples import CAMERA, FACILITY, OTHER_FACILITY, accept, decide, new_image, outcome
from .harness import Harness, record
from .reviewing import (
    ANN,
    FAIL,
    HERE,
    LEASE,
    PASS,
    audited,
    current,
    doubtful,
    next_for,
    passed,
    say,
    serving,
    settle,
    unbroken,
)


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


def test_a_reused_review_waits_for_people_too(harness: Harness) -> None:
    serving(harness)
    first = accept(harness.intake, data=b"same")
    decide(harness.progress, first, replace(outcome(Verdict.REVIEW), weight=2.5))
    assert reuses(harness, b"same") == first.image_id
    assert len(harness.reviews.items(HERE, 10)) == 2


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
