"""How long pictures and metadata are kept, and what is left of them."""

from datetime import datetime, timedelta
from uuid import uuid4

import pytest

from framegate.kernel.ids import ImageId
from framegate.kernel.retention import ErasureRefused, Part, RetentionClass
from framegate.kernel.reviews import Choice, Decision
from framegate.kernel.states import Verdict
from framegate.ports.audit import AuditFilter
from framegate.ports.store import ImageFilter, NewImage
from framegate.ports.upkeep import StoredOriginal

from .examples import FACILITY, OTHER_FACILITY, accept, decide, new_image, outcome, serve
from .harness import Harness, record

MINE = frozenset({FACILITY})
UNDO = timedelta(seconds=30)


def ended(harness: Harness, verdict: Verdict | None = Verdict.PASS, **changes: object) -> NewImage:
    image = accept(harness.intake, **changes)
    decide(harness.progress, image, outcome(verdict))
    return image


def days_after(harness: Harness, image: NewImage, days: float) -> datetime:
    decided_at = record(harness, image).decided_at
    assert decided_at is not None
    return decided_at + timedelta(days=days)


def walk(harness: Harness, now: datetime, limit: int = 100) -> dict[Part, int]:
    """All steps that are due."""
    erased: dict[Part, int] = {}
    while walked := harness.retention.walk(now, limit):
        for part, count in walked.erased.items():
            erased[part] = erased.get(part, 0) + count
    return erased


def gone(harness: Harness, image: NewImage) -> dict[str, str]:
    return {str(erasure.part): erasure.reason for erasure in record(harness, image).erasures}


def audited(harness: Harness, action: str) -> list[tuple[str, str, object]]:
    found = harness.audit_log.entries(AuditFilter(), 1000)
    return [(entry.actor, entry.object, entry.body) for entry in found if entry.action == action]


def test_everything_is_kept_for_ever_until_somebody_says_otherwise(harness: Harness) -> None:
    image = ended(harness)
    assert harness.retention.days(FACILITY) == {}
    assert harness.retention.walk(days_after(harness, image, 10_000), 100) is None
    assert gone(harness, image) == {}


def test_settings_are_of_one_facility_and_changes_are_audited(harness: Harness) -> None:
    kind = RetentionClass.PASS
    assert harness.retention.keep(FACILITY, {kind: 7, RetentionClass.METADATA: 30}, "lead") == {
        RetentionClass.METADATA: 30,
        kind: 7,
    }
    assert harness.retention.keep(FACILITY, {kind: 7, RetentionClass.FAIL: None}, "lead") == harness.retention.days(
        FACILITY
    )
    assert harness.retention.days(OTHER_FACILITY) == {}
    harness.retention.keep(FACILITY, {kind: None}, "other")
    assert harness.retention.days(FACILITY) == {RetentionClass.METADATA: 30}
    assert audited(harness, "retention.set") == [
        ("lead", "originals.pass", {"days": 7, "before": None}),
        ("lead", "metadata", {"days": 30, "before": None}),
        ("other", "originals.pass", {"days": None, "before": 7}),
    ]


def test_a_picture_is_erased_when_its_days_are_over_and_not_before(harness: Harness) -> None:
    image, kept = ended(harness), ended(harness, Verdict.FAIL)
    harness.retention.keep(FACILITY, {RetentionClass.PASS: 7}, "lead")
    assert walk(harness, days_after(harness, image, 6.99)) == {}
    assert gone(harness, image) == {}
    assert walk(harness, days_after(harness, kept, 8)) == {Part.ORIGINAL: 1}
    assert gone(harness, image) == {"original": "retention: originals.pass for 7 days"}
    assert gone(harness, kept) == {}
    found = record(harness, image)
    assert (found.facts.sha256, found.verdict, len(found.detections)) == (image.sha256, Verdict.PASS, 1)
    assert audited(harness, "image.erased") == [
        (
            "framegate",
            str(image.image_id),
            {"original": {"reason": "retention: originals.pass for 7 days", "sha256": image.sha256}},
        )
    ]


def test_metadata_are_erased_without_the_picture_and_found_no_more(harness: Harness) -> None:
    image, bare = ended(harness, metadata={"order": "of Ms Doe", "dock": "4"}), ended(harness)
    harness.retention.keep(FACILITY, {RetentionClass.METADATA: 30}, "lead")
    assert walk(harness, days_after(harness, bare, 31)) == {Part.METADATA: 1}
    found = record(harness, image)
    assert (dict(found.metadata), dict(found.facts.metadata)) == ({}, {})
    assert gone(harness, image) == {"metadata": "retention: metadata for 30 days"}
    assert gone(harness, bare) == {}
    assert harness.results.images(ImageFilter(MINE, metadata={"dock": "4"}), 10) == []
    ((_, _, body),) = audited(harness, "image.erased")
    assert body == {"metadata": {"reason": "retention: metadata for 30 days", "names": ["dock", "order"]}}
    assert harness.retention.unfinished(10) == []


def test_what_is_rejected_has_a_time_of_its_own(harness: Harness) -> None:
    image, passed = ended(harness, None), ended(harness)
    harness.retention.keep(FACILITY, {RetentionClass.REJECTED: 1}, "lead")
    assert walk(harness, days_after(harness, passed, 2)) == {Part.ORIGINAL: 1}
    assert (gone(harness, image) != {}, gone(harness, passed)) == (True, {})


def test_what_waits_for_people_is_kept_and_then_for_the_longer_time_of_both_verdicts(harness: Harness) -> None:
    image = ended(harness, Verdict.REVIEW)
    harness.retention.keep(FACILITY, {RetentionClass.REVIEW: 1, RetentionClass.FAIL: 100}, "lead")
    assert walk(harness, days_after(harness, image, 200)) == {}
    decision = Decision(Choice.FAIL, "dent")
    (item,) = harness.reviews.lease(MINE, "Ann", 1, UNDO)
    harness.reviews.decide(MINE, image.image_id, item.version, image.sha256, decision, "Ann", UNDO)
    assert walk(harness, days_after(harness, image, 99)) == {}
    assert walk(harness, days_after(harness, image, 400)) == {Part.ORIGINAL: 1}
    assert gone(harness, image) == {"original": "retention: originals.fail for 100 days"}


def test_a_walk_goes_step_by_step_once_a_day_and_anew_after_a_change(harness: Harness) -> None:
    images = [ended(harness, Verdict.FAIL) for _ in range(5)]
    young = ended(harness)
    harness.retention.keep(FACILITY, {RetentionClass.PASS: 1}, "lead")
    now = days_after(harness, young, 1.5)
    steps = []
    while walked := harness.retention.walk(now, 2):
        steps.append((walked.facility, walked.looked_at, dict(walked.erased)))
    assert steps == [(FACILITY, 2, {}), (FACILITY, 2, {}), (FACILITY, 2, {Part.ORIGINAL: 1}), (FACILITY, 0, {})]
    assert harness.retention.walk(now, 2) is None
    harness.retention.keep(FACILITY, {RetentionClass.FAIL: 1}, "lead")
    assert walk(harness, now) == {Part.ORIGINAL: 5}
    late = ended(harness)
    assert harness.retention.walk(now, 2) is None
    assert walk(harness, days_after(harness, late, 3)) == {Part.ORIGINAL: 1}
    assert [gone(harness, image) != {} for image in (*images, young, late)] == [True] * 7


def test_what_is_to_be_erased_is_overdue_from_its_turn_until_it_is_gone(harness: Harness) -> None:
    image = ended(harness)
    late = days_after(harness, image, 2)
    assert harness.retention.overdue_s(late) == 0
    harness.retention.keep(FACILITY, {RetentionClass.PASS: 1}, "lead")
    # From the setting on, which came a moment after the image's end.
    assert 0 <= timedelta(days=2).total_seconds() - harness.retention.overdue_s(late) < 60
    assert walk(harness, late) == {Part.ORIGINAL: 1}
    a_day = timedelta(days=1)
    (erased,) = harness.retention.unfinished(1)
    assert harness.retention.overdue_s(late) > a_day.total_seconds(), "its file is still there"
    harness.retention.finish([erased])
    assert harness.retention.overdue_s(late + a_day) == 0
    assert harness.retention.overdue_s(late + a_day + timedelta(seconds=7)) == pytest.approx(7, abs=0.01)


def test_files_are_told_until_they_are_gone(harness: Harness) -> None:
    image, other = ended(harness), ended(harness, Verdict.FAIL)
    harness.retention.keep(FACILITY, {RetentionClass.PASS: 1}, "lead")
    whole = [StoredOriginal(one.image_id, one.blob_key, one.sha256) for one in (image, other)]
    assert harness.upkeep.blob_keys(None, 10) == whole
    walk(harness, days_after(harness, image, 2))
    (erased,) = harness.retention.unfinished(10)
    assert (erased.facility, erased.image_id, erased.keys[0]) == (FACILITY, image.image_id, image.blob_key)
    assert [one.there for one in harness.upkeep.blob_keys(None, 10)] == [None, True]
    harness.retention.finish([erased])
    harness.retention.finish([erased])
    assert harness.retention.unfinished(10) == []
    assert [one.there for one in harness.upkeep.blob_keys(None, 10)] == [False, True]


def test_an_image_is_erased_by_hand_once(harness: Harness) -> None:
    image = ended(harness, metadata={"order": "7"})
    done = harness.retention.erase(FACILITY, image.image_id, "asked for by the person", "lead")
    assert [(one.part, one.actor, one.reason) for one in done] == [
        (Part.ORIGINAL, "lead", "asked for by the person"),
        (Part.METADATA, "lead", "asked for by the person"),
    ]
    assert record(harness, image).erasures == done
    assert harness.retention.erase(FACILITY, image.image_id, "again", "other") == done
    ((actor, what, body),) = audited(harness, "image.erased")
    assert (actor, what) == ("lead", str(image.image_id))
    assert body == {
        "original": {"reason": "asked for by the person", "sha256": image.sha256},
        "metadata": {"reason": "asked for by the person", "names": ["order"]},
    }


def test_what_is_unknown_or_in_flight_is_not_erased(harness: Harness) -> None:
    image = accept(harness.intake)
    with pytest.raises(ErasureRefused, match="still being inspected"):
        harness.retention.erase(FACILITY, image.image_id, "x", "lead")
    for facility, image_id in ((FACILITY, ImageId(uuid4())), (OTHER_FACILITY, image.image_id)):
        with pytest.raises(ErasureRefused, match="there is no image"):
            harness.retention.erase(facility, image_id, "x", "lead")
    assert audited(harness, "image.erased") == []


def test_a_duplicate_keeps_its_own_original_and_the_same_bytes_are_taken_again(harness: Harness) -> None:
    serve(harness.registry)
    harness.policies.add_policy(FACILITY, {}, "test")
    image = accept(harness.intake, data=b"same", idempotency_key="k")
    decide(harness.progress, image)
    twin = new_image(b"same")
    (answer,) = harness.intake.accept([twin])
    assert (answer.duplicate_of, record(harness, twin).reused_from) == (image.image_id, image.image_id)
    harness.retention.erase(FACILITY, image.image_id, "x", "lead")
    (erased,) = harness.retention.unfinished(10)
    assert erased.keys == (image.blob_key,)
    assert gone(harness, twin) == {}
    third = new_image(b"same")
    again = new_image(b"same", idempotency_key="k", request_hash=image.request_hash)
    taken, replayed = harness.intake.accept([third, again])
    assert (taken.image_id, taken.duplicate_of, taken.replayed) == (third.image_id, image.image_id, False)
    assert (replayed.image_id, replayed.replayed) == (image.image_id, True)
    assert gone(harness, third) == {}
