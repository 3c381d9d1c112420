"""While a hold covers an image, nothing of it is erased."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from framegate.kernel.holds import HoldScope
from framegate.kernel.ids import CameraId, ImageId
from framegate.kernel.retention import ErasureRefused, Part, RetentionClass
from framegate.ports.audit import AuditFilter
from framegate.ports.retention import Covered

from .examples import CAMERA, FACILITY, OTHER_FACILITY, accept
from .harness import Harness, record
from .test_retention_contract import days_after, ended, gone, walk

MINE = frozenset({FACILITY})


def refused(harness: Harness, image_id: ImageId) -> bool:
    try:
        harness.retention.erase(FACILITY, image_id, "x", "lead")
    except ErasureRefused as error:
        return "under legal hold" in str(error)
    return False


def test_a_hold_on_an_image_covers_that_one_until_it_is_lifted(harness: Harness) -> None:
    image, other = ended(harness, metadata={"order": "7"}), ended(harness)
    hold = harness.holds.place(FACILITY, HoldScope(image.image_id), "claim 12", "lead")
    assert harness.holds.covered(hold) == Covered(1, 0)
    assert refused(harness, image.image_id)
    harness.retention.keep(FACILITY, {RetentionClass.PASS: 1, RetentionClass.METADATA: 1}, "lead")
    now = days_after(harness, other, 2)
    assert walk(harness, now) == {Part.ORIGINAL: 1}
    assert (gone(harness, image), dict(record(harness, image).metadata)) == ({}, {"order": "7"})
    lifted = harness.holds.lift(hold.hold_id, "settled", "other")
    assert lifted is not None
    assert (lifted.lifted_by, lifted.lift_reason) == ("other", "settled")
    assert walk(harness, now) == {Part.ORIGINAL: 1, Part.METADATA: 1}
    assert set(gone(harness, image)) == {"original", "metadata"}
    assert harness.holds.covered(hold) == Covered(1, 1)


def test_a_hold_on_a_metadata_value_covers_what_has_it_and_what_comes_with_it_later(harness: Harness) -> None:
    first, other = ended(harness, metadata={"shipment": "X", "dock": "4"}), ended(harness, metadata={"shipment": "Y"})
    harness.holds.place(FACILITY, HoldScope(metadata={"shipment": "X"}), "claim", "lead")
    later = ended(harness, metadata={"shipment": "X"})
    assert [refused(harness, one.image_id) for one in (first, other, later)] == [True, False, True]


def test_a_hold_on_a_camera_covers_the_time_it_names(harness: Harness) -> None:
    image = ended(harness)
    at = record(harness, image).facts.received_at
    times = [
        (None, None, True), (at, None, True), (None, at, False), (at + timedelta(seconds=1), None, False),
        (at - timedelta(seconds=1), at + timedelta(seconds=1), True),
    ]  # fmt: skip
    for since, until, covers in times:
        hold = harness.holds.place(FACILITY, HoldScope(None, {}, CAMERA, since, until), "claim", "lead")
        assert (hold.scope.received_from, hold.scope.received_until) == (since, until)
        assert harness.holds.covered(hold) == Covered(int(covers), 0)
        if covers:
            assert refused(harness, image.image_id)
        harness.holds.lift(hold.hold_id, "over", "lead")
    elsewhere = HoldScope(camera=CameraId("other"))
    harness.holds.place(FACILITY, elsewhere, "claim", "lead")
    harness.holds.place(OTHER_FACILITY, HoldScope(camera=CAMERA), "claim", "lead")
    assert not refused(harness, image.image_id)


def test_every_condition_counts(harness: Harness) -> None:
    image = ended(harness, metadata={"shipment": "X"})
    scope = HoldScope(image.image_id, {"shipment": "Y"}, CAMERA)
    assert harness.holds.covered(harness.holds.place(FACILITY, scope, "claim", "lead")) == Covered(0, 0)
    assert not refused(harness, image.image_id)


def test_of_two_holds_the_second_holds_on(harness: Harness) -> None:
    image = ended(harness)
    first, second = (harness.holds.place(FACILITY, HoldScope(image.image_id), why, "lead") for why in "ab")
    harness.holds.lift(first.hold_id, "over", "lead")
    assert refused(harness, image.image_id)
    harness.holds.lift(second.hold_id, "over", "lead")
    assert not refused(harness, image.image_id)


def test_holds_are_listed_newest_first_and_lifted_ones_when_asked_for(harness: Harness) -> None:
    image = ended(harness)
    first = harness.holds.place(FACILITY, HoldScope(image.image_id), "a", "lead")
    harness.advance(1)
    second = harness.holds.place(OTHER_FACILITY, HoldScope(metadata={"n": "1"}), "b", "lead")
    assert harness.holds.holds(None) == [second, first]
    assert harness.holds.holds(MINE) == [first]
    lifted = harness.holds.lift(first.hold_id, "over", "lead")
    assert harness.holds.lift(first.hold_id, "again", "other") == lifted
    assert harness.holds.holds(MINE) == []
    assert harness.holds.holds(MINE, lifted=True) == [lifted]
    assert harness.holds.lift(uuid4(), "x", "lead") is None


def test_who_holds_and_who_lifts_is_audited_without_the_values(harness: Harness) -> None:
    hold = harness.holds.place(FACILITY, HoldScope(metadata={"person": "Ms Doe"}), "claim", "lead")
    harness.holds.lift(hold.hold_id, "settled", "other")
    harness.holds.lift(hold.hold_id, "again", "other")
    placed, lifted = harness.audit_log.entries(AuditFilter(object=str(hold.hold_id)), 10)
    assert (placed.actor, placed.action, lifted.actor, lifted.action) == ("lead", "hold.placed", "other", "hold.lifted")
    assert {name: placed.body[name] for name in ("metadata", "reason")} == {"metadata": ["person"], "reason": "claim"}
    assert len(placed.body["scope_sha256"]) == 64
    assert "Doe" not in str(placed.body)
    assert lifted.body == {"reason": "settled"}


def test_what_covers_nothing_or_everything_is_no_hold(harness: Harness) -> None:
    with pytest.raises(ValueError, match="an image, on a metadata value or on a camera"):
        HoldScope()
    with pytest.raises(ValueError, match="begins before it ends"):
        HoldScope(None, {}, CAMERA, datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))
    theirs = accept(harness.intake, facility=OTHER_FACILITY)
    for image_id in (ImageId(uuid4()), theirs.image_id):
        with pytest.raises(ValueError, match="there is no image"):
            harness.holds.place(FACILITY, HoldScope(image_id), "x", "lead")
    assert harness.holds.holds(None) == []
