"""What a person's word about an image makes true, and what it leaves unsaid."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from framegate.gate.policy import Policy
from framegate.kernel.ids import CameraId, FacilityId, ImageId
from framegate.kernel.reviews import Choice, Decision, Origin, Redrawn, Review
from framegate.models.feedback.truth import (
    CANNOT_TELL,
    NO_BOX,
    OTHER_CLASS,
    OTHER_DAMAGE,
    Truth,
    damage_classes,
    truth_of,
)
from framegate.ports.reviews import DecidedImage
from tests.contracts.examples import decide, new_image, outcome
from tests.contracts.harness import MemoryHarness, record

POLICY = Policy.parse(
    1,
    {
        "schema": 1,
        "classes": {
            "dent": {"review": 0.4, "fail": 0.8},
            "hole": {"review": None, "fail": 0.5},
            "carton": {"review": None, "fail": None},
        },
        "otherwise": {"review": 0.25, "fail": None},
    },
)
HARMLESS = {"carton"}
WHERE = (10.0, 11.0, 20.0, 30.0)
FAIL = Decision(Choice.FAIL, "dent")


def said(decision: Decision, *found: tuple[str, float]) -> Truth | str:
    harness = MemoryHarness()
    image = new_image()
    harness.intake.accept([image])
    decide(harness.progress, image, outcome())
    now = datetime(2026, 5, 1, tzinfo=UTC)
    review = Review(UUID(int=1), FacilityId("hall-1"), ImageId(image.image_id), decision, "Ann", now, 1, image.sha256)
    seen = tuple((name, confidence, WHERE) for name, confidence in found)
    decided = DecidedImage(replace(record(harness, image), detections=seen), Origin.VERDICT, review)
    assert decided.record.facts.camera == CameraId("dock-7")
    return truth_of(decided, POLICY, HARMLESS)


def test_a_pass_says_that_no_damage_is_there_whatever_was_found() -> None:
    assert said(Decision(Choice.PASS), ("dent", 0.9), ("carton", 0.9)) == Truth(False, "", (), "none")


def test_what_a_person_drew_stands_instead_of_what_was_found() -> None:
    drawn = (Redrawn("hole", (1.0, 2.0, 3.0, 4.0)),)
    assert said(replace(FAIL, boxes=drawn), ("dent", 0.9)) == Truth(True, "dent", drawn, "drawn")


def test_boxes_of_what_is_no_damage_are_not_labels() -> None:
    carton, dent = Redrawn("carton", WHERE), Redrawn("dent", WHERE)
    assert said(replace(FAIL, boxes=(carton, dent))) == Truth(True, "dent", (dent,), "drawn")
    assert said(replace(FAIL, boxes=(carton,))) == Truth(True, "dent", None, "none", NO_BOX)


def test_a_fail_confirms_what_the_policy_counted_of_its_class_and_no_fainter_trace() -> None:
    found = said(FAIL, ("carton", 0.95), ("dent", 0.7), ("dent", 0.39), ("hole", 0.49))
    assert found == Truth(True, "dent", (Redrawn("dent", WHERE),), "confirmed")


def test_damage_that_nobody_knows_the_place_of_has_no_boxes() -> None:
    assert said(FAIL, ("dent", 0.39), ("carton", 0.9)) == Truth(True, "dent", None, "none", NO_BOX)


def test_other_damage_that_nobody_spoke_of_leaves_the_boxes_unknown() -> None:
    assert said(FAIL, ("dent", 0.9), ("hole", 0.6)) == Truth(True, "dent", None, "none", OTHER_DAMAGE)
    assert said(FAIL, ("dent", 0.9), ("scratch", 0.3)) == Truth(True, "dent", None, "none", OTHER_DAMAGE)


def test_who_cannot_tell_says_nothing() -> None:
    assert said(Decision(Choice.CANNOT_TELL), ("dent", 0.9)) == CANNOT_TELL


def test_who_drew_everything_says_that_the_other_classes_are_not_there() -> None:
    dent, hole = Redrawn("dent", WHERE), Redrawn("hole", WHERE)
    drawn = Truth(True, "dent", (dent, hole), "drawn")
    assert drawn.narrowed({"hole"}) == replace(drawn, boxes=(hole,))
    assert drawn.narrowed({"tear"}) == replace(drawn, boxes=())
    assert drawn.narrowed(()) == drawn
    assert drawn.of_class({"hole"}) == drawn
    assert drawn.of_class({"tear"}) == OTHER_CLASS


def test_a_confirmed_class_says_nothing_about_the_others() -> None:
    confirmed = Truth(True, "dent", (Redrawn("dent", WHERE),), "confirmed")
    assert confirmed.narrowed({"dent", "hole"}) == confirmed
    assert confirmed.narrowed({"hole"}) == OTHER_CLASS
    unknown = Truth(True, "dent", None, "none", NO_BOX)
    assert unknown.narrowed({"dent"}) == NO_BOX
    assert unknown.of_class(()) == unknown.of_class({"dent"}) == unknown
    assert Truth(False, "", (), "none").of_class({"tear"}) == Truth(False, "", (), "none")


def test_damage_is_what_some_rule_has_a_threshold_for() -> None:
    assert damage_classes([POLICY]) == ({"dent", "hole"}, {"carton"})
