"""What is accepted is recorded once, with everything that belongs to it."""

import threading
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from framegate.kernel.ids import CameraId
from framegate.kernel.messages import FrameSubmitted, decode
from framegate.kernel.states import CameraStatus, ImageState, Lane, Stage, Verdict
from framegate.pipeline import ALL_QUEUES
from framegate.ports.store import Accepted, ImageRecord, NewImage

from .examples import (
    FACILITY,
    OTHER_FACILITY,
    accept,
    advance_to,
    api_key,
    complete,
    decide,
    inspected,
    labelled,
    must_claim,
    new_image,
    outcome,
    serve,
)
from .harness import Harness, seconds

WHEN = datetime(2026, 3, 1, 12, 0, 0, 123000, tzinfo=UTC)
BOTH = frozenset({FACILITY, OTHER_FACILITY})


def accept_one(harness: Harness, image: NewImage) -> Accepted:
    (answer,) = harness.intake.accept([image])
    return answer


def record(harness: Harness, image: NewImage) -> ImageRecord:
    found = harness.results.image(BOTH, image.image_id)
    assert found is not None
    return found


def queued(harness: Harness) -> list[Any]:
    return [
        decode(d.body)
        for queue in ALL_QUEUES
        for d in harness.queue.receive([queue], harness.queue.max_receive, seconds(0), seconds(60))
    ]


def accepted_count(harness: Harness) -> int:
    return harness.upkeep.conservation().accepted


def test_an_accepted_image_is_recorded_as_it_was_sent(harness: Harness) -> None:
    image = new_image(
        captured_at=WHEN, metadata={"shipment": "S-1", "dock": "7"}, lane=Lane.BULK, orientation=6, width=640
    )
    assert accept_one(harness, image) == Accepted(image.image_id, ImageState.RECEIVED, None)
    found = record(harness, image)
    facts = found.facts
    assert (facts.facility, facts.image_id, facts.camera, facts.lane) == (
        FACILITY,
        image.image_id,
        image.camera,
        Lane.BULK,
    )
    assert (facts.blob_key, facts.media_type, facts.sha256) == (image.blob_key, image.media_type, image.sha256)
    assert (facts.size_bytes, facts.width, facts.height, facts.orientation) == (image.size_bytes, 640, 48, 6)
    assert (found.captured_at, dict(found.metadata)) == (WHEN, {"shipment": "S-1", "dock": "7"})
    assert (found.state, found.look, found.verdict, found.reason) == (ImageState.RECEIVED, 1, None, None)
    assert (found.detections, found.history, found.decided_at) == ((), (), None)


def test_each_accepted_image_has_one_message_on_its_lane(harness: Harness) -> None:
    live, bulk = new_image(), new_image(lane=Lane.BULK)
    harness.intake.accept([bulk, live])
    assert queued(harness) == [
        FrameSubmitted(FACILITY, live.image_id, 1, Lane.LIVE),
        FrameSubmitted(FACILITY, bulk.image_id, 1, Lane.BULK),
    ]


def test_accepting_nothing_answers_nothing(harness: Harness) -> None:
    assert harness.intake.accept([]) == []


def test_acceptance_is_audited(harness: Harness) -> None:
    image = accept(harness.intake)
    assert str(image.image_id) in [e.object for e in harness.audit()]


def test_answers_come_in_the_order_of_the_batch(harness: Harness) -> None:
    known = accept(harness.intake, idempotency_key="k")
    fresh = [new_image() for _ in range(3)]
    replay = new_image(idempotency_key="k", request_hash=known.request_hash)
    answers = harness.intake.accept([fresh[0], replay, fresh[1], fresh[2]])
    assert [a.image_id for a in answers] == [fresh[0].image_id, known.image_id, fresh[1].image_id, fresh[2].image_id]
    assert [a.replayed for a in answers] == [False, True, False, False]


# --- idempotency ---------------------------------------------------------------------------------------------------


def test_the_same_request_with_the_same_key_is_replayed(harness: Harness) -> None:
    first = accept(harness.intake, idempotency_key="k")
    queued(harness)
    answer = accept_one(harness, new_image(idempotency_key="k", request_hash=first.request_hash))
    assert answer == Accepted(first.image_id, ImageState.RECEIVED, None, replayed=True)
    assert queued(harness) == []
    assert accepted_count(harness) == 1


def test_a_replay_tells_the_state_of_today(harness: Harness) -> None:
    first = accept(harness.intake, idempotency_key="k")
    decide(harness.progress, first)
    answer = accept_one(harness, new_image(idempotency_key="k", request_hash=first.request_hash))
    assert (answer.image_id, answer.state, answer.replayed) == (first.image_id, ImageState.DECIDED, True)


def test_another_request_with_the_same_key_is_a_conflict_and_is_not_recorded(harness: Harness) -> None:
    first = accept(harness.intake, idempotency_key="k")
    queued(harness)
    other = new_image(idempotency_key="k")
    answer = accept_one(harness, other)
    assert answer.conflict
    assert not answer.replayed
    assert answer.image_id == first.image_id
    assert harness.results.image(BOTH, other.image_id) is None
    assert queued(harness) == []
    assert accepted_count(harness) == 1


def test_idempotency_keys_belong_to_a_facility_and_an_api_key(harness: Harness) -> None:
    harness.keys.add_key(api_key("second"), "test")
    images = [
        new_image(b"same", idempotency_key="k"),
        new_image(b"same", idempotency_key="k", key_id="second"),
        new_image(b"same", idempotency_key="k", facility=OTHER_FACILITY),
        new_image(b"same", idempotency_key="another"),
    ]
    for image in images:
        answer = accept_one(harness, image)
        assert (answer.image_id, answer.replayed, answer.conflict) == (image.image_id, False, False)


def test_a_key_used_twice_in_one_batch_is_recorded_once(harness: Harness) -> None:
    first = new_image(b"same", idempotency_key="k")
    again = new_image(b"same", idempotency_key="k")
    other = new_image(b"other", idempotency_key="k")
    answers = harness.intake.accept([first, again, other])
    assert [a.image_id for a in answers] == [first.image_id] * 3
    assert [(a.replayed, a.conflict) for a in answers] == [(False, False), (True, False), (False, True)]
    assert len(queued(harness)) == 1


def test_one_key_from_many_threads_records_one_image(harness: Harness) -> None:
    images = [new_image(b"same", idempotency_key="k") for _ in range(8)]
    answers: list[Accepted] = []
    lock = threading.Lock()

    def upload(image: NewImage) -> None:
        answer = accept_one(harness, image)
        with lock:
            answers.append(answer)

    threads = [threading.Thread(target=upload, args=(image,), daemon=True) for image in images]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(50)
    assert len(answers) == 8
    assert len({a.image_id for a in answers}) == 1
    assert [a.replayed for a in answers].count(False) == 1
    assert accepted_count(harness) == 1


# --- the same picture again ----------------------------------------------------------------------------------------


def test_the_same_capture_without_a_key_is_replayed(harness: Harness) -> None:
    first = accept(harness.intake, data=b"same", captured_at=WHEN)
    answer = accept_one(harness, new_image(b"same", captured_at=WHEN))
    assert (answer.image_id, answer.replayed) == (first.image_id, True)
    assert accepted_count(harness) == 1


@pytest.mark.parametrize(
    "difference",
    [
        {"captured_at": WHEN.replace(second=1)},
        {"captured_at": None},
        {"camera": CameraId("dock-8"), "captured_at": WHEN},
        {"facility": OTHER_FACILITY, "captured_at": WHEN},
        {"idempotency_key": "k", "captured_at": WHEN},
    ],
    ids=["later", "no time", "camera", "facility", "with a key"],
)
def test_what_differs_is_another_image(harness: Harness, difference: dict[str, Any]) -> None:
    accept(harness.intake, data=b"same", captured_at=WHEN)
    other = new_image(b"same", **difference)
    answer = accept_one(harness, other)
    assert (answer.image_id, answer.replayed) == (other.image_id, False)


def test_other_bytes_captured_at_the_same_moment_are_another_image(harness: Harness) -> None:
    accept(harness.intake, captured_at=WHEN)
    other = new_image(captured_at=WHEN)
    answer = accept_one(harness, other)
    assert (answer.image_id, answer.duplicate_of) == (other.image_id, None)


def test_known_bytes_name_the_first_image_that_had_them(harness: Harness) -> None:
    first = accept(harness.intake, data=b"same")
    for camera in ("dock-7", "dock-8"):
        image = new_image(b"same", camera=CameraId(camera))
        answer = accept_one(harness, image)
        assert (answer.image_id, answer.duplicate_of, answer.replayed) == (image.image_id, first.image_id, False)
        assert record(harness, image).duplicate_of == first.image_id


def test_the_same_bytes_twice_in_one_batch_are_known_the_second_time(harness: Harness) -> None:
    first, second = new_image(b"same"), new_image(b"same")
    answers = harness.intake.accept([first, second])
    assert [a.duplicate_of for a in answers] == [None, first.image_id]


def test_bytes_known_in_another_facility_are_not_told(harness: Harness) -> None:
    accept(harness.intake, data=b"same", facility=OTHER_FACILITY)
    assert accept_one(harness, new_image(b"same")).duplicate_of is None


# --- reuse ---------------------------------------------------------------------------------------------------------


def decided_once(harness: Harness, **changes: Any) -> NewImage:
    """One decided image of b"same", under the model that serves and the policy that holds."""
    serve(harness.registry)
    version = harness.policies.add_policy(FACILITY, {"rules": []}, "test").version
    image = accept(harness.intake, data=b"same", **changes)
    decide(harness.progress, image, outcome(Verdict.REVIEW, version), ("box",))
    queued(harness)
    return image


def test_a_decided_duplicate_is_decided_at_once_and_sends_no_message(harness: Harness) -> None:
    source = decided_once(harness)
    image = new_image(b"same")
    answer = accept_one(harness, image)
    assert answer == Accepted(image.image_id, ImageState.DECIDED, source.image_id, verdict=Verdict.REVIEW)
    assert queued(harness) == []
    copy, original = record(harness, image), record(harness, source)
    assert copy.reused_from == source.image_id
    for name in ("state", "verdict", "reason", "detail", "detections", "model", "engine", "policy_version", "quality"):
        assert getattr(copy, name) == getattr(original, name), name
    assert [i.facts.image_id for _, i in harness.results.outcomes_after(BOTH, 0, 10)] == [
        source.image_id,
        image.image_id,
    ]


def test_a_reused_outcome_brings_its_labels(harness: Harness) -> None:
    serve(harness.registry)
    version = harness.policies.add_policy(FACILITY, {"rules": []}, "test").version
    source = accept(harness.intake, data=b"same")
    advance_to(harness.progress, source, Stage.INFERENCE)
    seen = labelled(inspected("box"))
    assert complete(harness.progress, must_claim(harness.progress, Stage.INFERENCE, source), seen)
    assert complete(
        harness.progress, must_claim(harness.progress, Stage.GATE, source), outcome(Verdict.REVIEW, version)
    )
    image = new_image(b"same")
    assert accept_one(harness, image).state is ImageState.DECIDED
    assert record(harness, image).labels == seen.labels


def test_an_image_whose_chain_was_unavailable_is_looked_at_again(harness: Harness) -> None:
    serve(harness.registry)
    version = harness.policies.add_policy(FACILITY, {"rules": []}, "test").version
    end = replace(outcome(Verdict.REVIEW, version), reason="chain-unavailable")
    decide(harness.progress, accept(harness.intake, data=b"same"), end)
    assert accept_one(harness, new_image(b"same")).state is ImageState.RECEIVED


def test_an_undecided_duplicate_is_inspected(harness: Harness) -> None:
    serve(harness.registry)
    harness.policies.add_policy(FACILITY, {"rules": []}, "test")
    accept(harness.intake, data=b"same")
    queued(harness)
    assert accept_one(harness, new_image(b"same")).state is ImageState.RECEIVED
    assert len(queued(harness)) == 1


def test_another_camera_has_its_own_inspection(harness: Harness) -> None:
    decided_once(harness)
    answer = accept_one(harness, new_image(b"same", camera=CameraId("dock-8")))
    assert answer.state is ImageState.RECEIVED
    assert len(queued(harness)) == 1


def test_another_model_looks_again(harness: Harness) -> None:
    source = decided_once(harness)
    serve(harness.registry, "starter@2", "cd" * 32)
    answer = accept_one(harness, new_image(b"same"))
    assert (answer.state, answer.duplicate_of) == (ImageState.RECEIVED, source.image_id)
    assert len(queued(harness)) == 1


def test_another_policy_decides_again(harness: Harness) -> None:
    decided_once(harness)
    harness.policies.add_policy(FACILITY, {"rules": ["stricter"]}, "test")
    assert accept_one(harness, new_image(b"same")).state is ImageState.RECEIVED
    assert len(queued(harness)) == 1


def test_nothing_is_reused_while_no_model_is_known_to_serve(harness: Harness) -> None:
    version = harness.policies.add_policy(FACILITY, {"rules": []}, "test").version
    decide(harness.progress, accept(harness.intake, data=b"same"), outcome(Verdict.PASS, version))
    queued(harness)
    assert accept_one(harness, new_image(b"same")).state is ImageState.RECEIVED
    assert len(queued(harness)) == 1


def test_a_rejected_image_is_inspected_again(harness: Harness) -> None:
    serve(harness.registry)
    version = harness.policies.add_policy(FACILITY, {"rules": []}, "test").version
    decide(harness.progress, accept(harness.intake, data=b"same"), outcome(None, version))
    assert accept_one(harness, new_image(b"same")).state is ImageState.RECEIVED


# --- cameras -------------------------------------------------------------------------------------------------------


def test_a_camera_seen_for_the_first_time_is_unconfirmed(harness: Harness) -> None:
    image = accept(harness.intake, camera=CameraId("new-camera"))
    (camera,) = harness.cameras.cameras(frozenset({FACILITY}))
    assert (camera.id, camera.status) == ("new-camera", CameraStatus.UNCONFIRMED)
    assert camera.last_image_at is not None
    assert record(harness, image).facts.camera_status is CameraStatus.UNCONFIRMED


def test_images_of_a_confirmed_camera_say_so(harness: Harness) -> None:
    harness.cameras.confirm_camera(FACILITY, CameraId("dock-7"), "lead")
    image = accept(harness.intake)
    assert record(harness, image).facts.camera_status is CameraStatus.CONFIRMED
    (camera,) = harness.cameras.cameras()
    assert camera.status is CameraStatus.CONFIRMED
