"""The right to work on an image: counted, leased, and given to one at a time."""

from uuid import uuid4

import pytest

from framegate.kernel.ids import FacilityId, ImageId
from framegate.kernel.inspection import Inspected
from framegate.kernel.messages import FrameSubmitted
from framegate.kernel.states import Lane, Stage
from framegate.ports.progress import Claim, Denied, Ending

from .examples import (
    CAMERA,
    FACILITY,
    LEASE,
    MODEL,
    OTHER_FACILITY,
    accept,
    claim,
    complete,
    decide,
    inspected,
    message,
    must_claim,
    new_image,
    prepared,
)
from .harness import Harness, seconds

EXPIRE_S = LEASE.total_seconds() + 1


# --- claim ----------------------------------------------------------------------------------------------------------


def test_a_claim_carries_what_is_known_about_the_image(harness: Harness) -> None:
    image = accept(harness.intake, lane=Lane.BULK)
    held = must_claim(harness.progress, Stage.PREPROCESS, image)
    assert held.stage is Stage.PREPROCESS
    assert held.message == message(Stage.PREPROCESS, image)
    assert (held.image.image_id, held.image.facility, held.image.camera) == (image.image_id, FACILITY, CAMERA)
    assert (held.image.blob_key, held.image.sha256, held.image.size_bytes) == (
        image.blob_key,
        image.sha256,
        image.size_bytes,
    )
    assert (held.image.width, held.image.height, held.image.orientation) == (64, 48, 1)
    assert (held.image.lane, held.image.media_type) == (Lane.BULK, "image/jpeg")
    assert (held.attempt, held.crashes, held.solo, held.prepared, held.finding) == (1, 0, False, None, None)
    assert held.claimed_at.utcoffset() is not None
    assert held.timeline["received"] == held.image.received_at


def test_later_stages_are_told_what_earlier_ones_found(harness: Harness) -> None:
    image = accept(harness.intake)
    assert complete(harness.progress, must_claim(harness.progress, Stage.PREPROCESS, image), prepared("prepared/x"))
    at_inference = must_claim(harness.progress, Stage.INFERENCE, image)
    assert at_inference.prepared == prepared("prepared/x")
    assert at_inference.finding is None
    assert complete(harness.progress, at_inference, inspected("box", "damage"))
    at_gate = must_claim(harness.progress, Stage.GATE, image)
    assert at_gate.prepared == prepared("prepared/x")
    assert isinstance(at_gate.finding, Inspected)
    assert at_gate.finding.classes == ("box", "damage")
    assert list(at_gate.finding.detections) == list(inspected("box", "damage").detections)
    assert at_gate.finding.model == MODEL
    assert {"received", "prepared", "inspected"} <= set(at_gate.timeline)


def test_the_attempt_is_counted_before_the_work_starts(harness: Harness) -> None:
    image = accept(harness.intake)
    first = must_claim(harness.progress, Stage.PREPROCESS, image)
    harness.advance(EXPIRE_S)  # the worker died without a word
    second = must_claim(harness.progress, Stage.PREPROCESS, image)
    assert (first.attempt, second.attempt) == (1, 2)
    assert first.token != second.token


def test_attempts_start_anew_in_each_stage(harness: Harness) -> None:
    image = accept(harness.intake)
    harness.progress.give_back([must_claim(harness.progress, Stage.PREPROCESS, image)], Ending.ERROR, "boom")
    again = must_claim(harness.progress, Stage.PREPROCESS, image)
    assert again.attempt == 2
    assert complete(harness.progress, again, prepared())
    assert must_claim(harness.progress, Stage.INFERENCE, image).attempt == 1


def test_a_claimed_image_is_busy_until_the_lease_ends(harness: Harness) -> None:
    image = accept(harness.intake)
    must_claim(harness.progress, Stage.PREPROCESS, image)
    assert claim(harness.progress, Stage.PREPROCESS, image, "other") is Denied.BUSY
    harness.advance(EXPIRE_S - 2)
    assert claim(harness.progress, Stage.PREPROCESS, image, "other") is Denied.BUSY
    harness.advance(3)
    assert isinstance(claim(harness.progress, Stage.PREPROCESS, image, "other"), Claim)


def test_the_same_owner_cannot_claim_an_image_twice_either(harness: Harness) -> None:
    image = accept(harness.intake)
    must_claim(harness.progress, Stage.PREPROCESS, image, "worker")
    assert claim(harness.progress, Stage.PREPROCESS, image, "worker") is Denied.BUSY


def test_a_duplicate_in_one_call_is_busy(harness: Harness) -> None:
    image = accept(harness.intake)
    twice = [message(Stage.PREPROCESS, image)] * 2
    first, second = harness.progress.claim(Stage.PREPROCESS, twice, "worker", LEASE)
    assert isinstance(first, Claim)
    assert second is Denied.BUSY
    assert first.attempt == 1


def test_answers_come_in_the_order_of_the_messages(harness: Harness) -> None:
    fresh, busy, done = (accept(harness.intake) for _ in range(3))
    must_claim(harness.progress, Stage.PREPROCESS, busy)
    decide(harness.progress, done)
    unknown = new_image()
    messages = [message(Stage.PREPROCESS, image) for image in (done, unknown, fresh, busy)]
    stale, nobody, held, denied = harness.progress.claim(Stage.PREPROCESS, messages, "worker", LEASE)
    assert (stale, nobody, denied) == (Denied.STALE, Denied.UNKNOWN, Denied.BUSY)
    assert isinstance(held, Claim)
    assert held.image.image_id == fresh.image_id


def test_claiming_nothing_answers_nothing(harness: Harness) -> None:
    assert harness.progress.claim(Stage.GATE, [], "worker", LEASE) == []


def test_a_completed_step_is_stale(harness: Harness) -> None:
    image = accept(harness.intake)
    assert complete(harness.progress, must_claim(harness.progress, Stage.PREPROCESS, image), prepared())
    assert claim(harness.progress, Stage.PREPROCESS, image) is Denied.STALE


@pytest.mark.parametrize("stage", [Stage.INFERENCE, Stage.GATE])
def test_a_step_that_is_not_due_yet_is_not_claimed(harness: Harness, stage: Stage) -> None:
    image = accept(harness.intake)
    assert claim(harness.progress, stage, image) is Denied.STALE
    assert isinstance(claim(harness.progress, Stage.PREPROCESS, image), Claim)


def test_an_ended_image_is_stale_in_every_stage(harness: Harness) -> None:
    image = accept(harness.intake)
    decide(harness.progress, image)
    for stage in (Stage.PREPROCESS, Stage.INFERENCE, Stage.GATE):
        assert claim(harness.progress, stage, image) is Denied.STALE


def test_an_unknown_image_is_unknown(harness: Harness) -> None:
    nobody = FrameSubmitted(FACILITY, ImageId(uuid4()))
    assert harness.progress.claim(Stage.PREPROCESS, [nobody], "worker", LEASE) == [Denied.UNKNOWN]


@pytest.mark.parametrize("facility", [OTHER_FACILITY, FacilityId("no-such-hall")])
def test_a_message_that_names_the_wrong_facility_finds_no_image(harness: Harness, facility: FacilityId) -> None:
    image = accept(harness.intake)
    forged = FrameSubmitted(facility, image.image_id)
    assert harness.progress.claim(Stage.PREPROCESS, [forged], "worker", LEASE) == [Denied.UNKNOWN]


# --- extend ---------------------------------------------------------------------------------------------------------


def test_extending_counts_from_now(harness: Harness) -> None:
    image = accept(harness.intake)
    held = must_claim(harness.progress, Stage.PREPROCESS, image)
    harness.advance(50)
    assert harness.progress.extend([held], LEASE) == []
    harness.advance(50)
    assert claim(harness.progress, Stage.PREPROCESS, image) is Denied.BUSY
    harness.advance(11)
    assert isinstance(claim(harness.progress, Stage.PREPROCESS, image), Claim)


def test_extending_reports_claims_that_are_lost_and_leaves_them_alone(harness: Harness) -> None:
    lost_image, kept_image = accept(harness.intake), accept(harness.intake)
    lost = must_claim(harness.progress, Stage.PREPROCESS, lost_image)
    harness.advance(EXPIRE_S)
    must_claim(harness.progress, Stage.PREPROCESS, lost_image, "other")
    kept = must_claim(harness.progress, Stage.PREPROCESS, kept_image)
    assert harness.progress.extend([kept, lost], seconds(600)) == [lost]
    harness.advance(EXPIRE_S)
    assert isinstance(claim(harness.progress, Stage.PREPROCESS, lost_image), Claim)
    assert claim(harness.progress, Stage.PREPROCESS, kept_image) is Denied.BUSY


def test_completed_claims_cannot_be_extended(harness: Harness) -> None:
    image = accept(harness.intake)
    held = must_claim(harness.progress, Stage.PREPROCESS, image)
    assert complete(harness.progress, held, prepared())
    assert harness.progress.extend([held], LEASE) == [held]
