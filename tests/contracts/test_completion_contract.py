"""Images move forward: nothing is lost, nothing happens twice, nothing goes back."""

import threading
from uuid import UUID

import pytest

from framegate.kernel.inspection import Alert, Failed, Outcome, Prepared, Refused
from framegate.kernel.messages import FrameInspected, FramePrepared, FrameSubmitted
from framegate.kernel.states import ImageState, Lane, Stage, Verdict
from framegate.pipeline import queue_name
from framegate.ports.progress import Claim, Completion, Denied, Ending, PrepareAgain

from .examples import (
    FACILITY,
    LEASE,
    MODEL,
    MODEL_SHA,
    accept,
    advance_to,
    claim,
    complete,
    decide,
    inspected,
    message,
    must_claim,
    outcome,
    prepared,
)
from .harness import Harness, record, waiting

EXPIRE_S = LEASE.total_seconds() + 1


# --- complete -------------------------------------------------------------------------------------------------------


def test_states_follow_one_another(harness: Harness) -> None:
    image = accept(harness.intake)
    states = [record(harness, image).state]
    for stage, result in (
        (Stage.PREPROCESS, prepared()),
        (Stage.INFERENCE, inspected("box")),
        (Stage.GATE, outcome(Verdict.PASS)),
    ):
        assert complete(harness.progress, must_claim(harness.progress, stage, image), result)
        states.append(record(harness, image).state)
    assert states == [ImageState.RECEIVED, ImageState.PREPARED, ImageState.INSPECTED, ImageState.DECIDED]


def test_every_stage_is_told_what_the_sender_said_of_the_image(harness: Harness) -> None:
    said = {"pallet": "P-118", "meta.note": "caf\u00e9"}
    image = accept(harness.intake, metadata=said)
    for stage, result in ((Stage.PREPROCESS, prepared()), (Stage.INFERENCE, inspected("box"))):
        held = must_claim(harness.progress, stage, image)
        assert held.image.metadata == said
        assert complete(harness.progress, held, result)
    assert must_claim(harness.progress, Stage.GATE, image).image.metadata == said
    assert record(harness, image).facts.metadata == said


@pytest.mark.parametrize("lane", list(Lane))
def test_each_step_sends_the_next_message_on_the_lane_of_the_image(harness: Harness, lane: Lane) -> None:
    image = accept(harness.intake, lane=lane)
    steps = (
        (Stage.PREPROCESS, prepared(), FramePrepared),
        (Stage.INFERENCE, inspected(), FrameInspected),
    )
    assert waiting(harness) == [(queue_name(FrameSubmitted, lane), FrameSubmitted(FACILITY, image.image_id, 1, lane))]
    for stage, result, emitted in steps:
        assert complete(harness.progress, must_claim(harness.progress, stage, image), result)
        assert waiting(harness) == [(queue_name(emitted, lane), emitted(FACILITY, image.image_id, 1, lane))]
    assert complete(harness.progress, must_claim(harness.progress, Stage.GATE, image), outcome())
    assert waiting(harness) == []


@pytest.mark.parametrize("finding", [Refused("truncated", "It ends early."), Failed("poison", "It kills.")])
def test_a_refusal_in_preprocess_goes_straight_to_the_gate(harness: Harness, finding: Refused | Failed) -> None:
    image = accept(harness.intake)
    waiting(harness)
    assert complete(harness.progress, must_claim(harness.progress, Stage.PREPROCESS, image), finding)
    assert [m.name for _, m in waiting(harness)] == ["frame-inspected"]
    assert record(harness, image).state is ImageState.INSPECTED
    assert claim(harness.progress, Stage.INFERENCE, image) is Denied.STALE
    assert must_claim(harness.progress, Stage.GATE, image).finding == finding


def test_a_failure_in_inference_goes_to_the_gate(harness: Harness) -> None:
    image = accept(harness.intake)
    advance_to(harness.progress, image, Stage.INFERENCE)
    finding = Failed("engine-output", "Not a number.", MODEL, MODEL_SHA, "an engine")
    assert complete(harness.progress, must_claim(harness.progress, Stage.INFERENCE, image), finding)
    held = must_claim(harness.progress, Stage.GATE, image)
    assert held.finding == finding
    assert complete(harness.progress, held, Outcome(ImageState.FAILED, None, finding.reason, finding.detail, 1))
    ended = record(harness, image)
    assert (ended.model, ended.model_sha256, ended.engine) == (MODEL, MODEL_SHA, "an engine")


def test_a_worker_that_lost_its_claim_changes_nothing(harness: Harness) -> None:
    image = accept(harness.intake)
    late = must_claim(harness.progress, Stage.PREPROCESS, image, "late")
    harness.advance(EXPIRE_S)
    current = must_claim(harness.progress, Stage.PREPROCESS, image, "current")
    waiting(harness)
    assert complete(harness.progress, late, prepared("prepared/late")) is False
    assert waiting(harness) == []
    assert record(harness, image).state is ImageState.RECEIVED
    harness.progress.give_back([late], Ending.CRASH, "late")
    assert claim(harness.progress, Stage.PREPROCESS, image) is Denied.BUSY, "the late worker ended another's claim"
    assert complete(harness.progress, current, prepared("prepared/current"))
    assert must_claim(harness.progress, Stage.INFERENCE, image).prepared == prepared("prepared/current")


def test_a_late_outcome_does_not_replace_the_first(harness: Harness) -> None:
    image = accept(harness.intake)
    advance_to(harness.progress, image, Stage.GATE)
    late = must_claim(harness.progress, Stage.GATE, image, "late")
    harness.advance(EXPIRE_S)
    current = must_claim(harness.progress, Stage.GATE, image, "current")
    assert complete(harness.progress, current, outcome(Verdict.FAIL))
    assert complete(harness.progress, late, outcome(Verdict.PASS, 1, Alert("damage", "critical", "x", "y"))) is False
    assert record(harness, image).verdict is Verdict.FAIL
    assert harness.alerts() == []


def test_repeating_a_completion_says_true_and_sends_nothing_twice(harness: Harness) -> None:
    image = accept(harness.intake)
    held = must_claim(harness.progress, Stage.PREPROCESS, image)
    waiting(harness)
    assert complete(harness.progress, held, prepared())
    assert complete(harness.progress, held, prepared())
    assert len(waiting(harness)) == 1


def test_repeating_a_completion_says_true_also_when_the_image_went_on(harness: Harness) -> None:
    image = accept(harness.intake)
    held = must_claim(harness.progress, Stage.PREPROCESS, image)
    assert complete(harness.progress, held, prepared())
    next_held = must_claim(harness.progress, Stage.INFERENCE, image)
    assert complete(harness.progress, held, prepared())
    assert complete(harness.progress, next_held, inspected("box"))
    assert complete(harness.progress, held, prepared())
    assert record(harness, image).state is ImageState.INSPECTED


def test_repeating_an_outcome_says_true_and_writes_nothing_twice(harness: Harness) -> None:
    image = accept(harness.intake)
    advance_to(harness.progress, image, Stage.GATE)
    held = must_claim(harness.progress, Stage.GATE, image)
    end = outcome(Verdict.FAIL, 1, Alert("damage", "critical", "dock-7", "A box is damaged."))
    assert complete(harness.progress, held, end)
    audited = harness.audit()
    assert complete(harness.progress, held, end)
    assert harness.audit() == audited
    assert len(harness.alerts()) == 1
    assert len(record(harness, image).detections) == 1
    assert len(harness.results.outcomes_after(frozenset({FACILITY}), 0, 10)) == 1


def test_one_lost_claim_does_not_hold_back_its_neighbours(harness: Harness) -> None:
    images = [accept(harness.intake) for _ in range(3)]
    claims = [must_claim(harness.progress, Stage.PREPROCESS, image, "first") for image in images]
    harness.advance(EXPIRE_S)
    must_claim(harness.progress, Stage.PREPROCESS, images[1], "other")
    kept = harness.progress.complete([Completion(c, prepared()) for c in claims])
    assert kept == [True, False, True]
    states = [record(harness, image).state for image in images]
    assert states == [ImageState.PREPARED, ImageState.RECEIVED, ImageState.PREPARED]


def test_completing_nothing_answers_nothing(harness: Harness) -> None:
    assert harness.progress.complete([]) == []


def test_a_claim_that_was_given_back_cannot_be_completed(harness: Harness) -> None:
    image = accept(harness.intake)
    held = must_claim(harness.progress, Stage.PREPROCESS, image)
    harness.progress.give_back([held], Ending.RELEASED, "")
    assert complete(harness.progress, held, prepared()) is False
    assert record(harness, image).state is ImageState.RECEIVED


def test_eight_workers_that_race_for_one_image_give_it_one_claim(harness: Harness) -> None:
    images = [accept(harness.intake) for _ in range(12)]
    messages = [message(Stage.PREPROCESS, image) for image in images]
    answers: list[Claim | Denied] = []
    lock = threading.Lock()

    def work(number: int) -> None:
        turned = messages[number:] + messages[:number]  # overlapping sets in different orders
        found = harness.progress.claim(Stage.PREPROCESS, turned, f"worker-{number}", LEASE)
        with lock:
            answers.extend(found)

    threads = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(50)
    claims = [a for a in answers if isinstance(a, Claim)]
    assert sorted(c.image.image_id for c in claims) == sorted(image.image_id for image in images)
    assert [a for a in answers if not isinstance(a, Claim)] == [Denied.BUSY] * (8 * 12 - 12)


# --- a second look --------------------------------------------------------------------------------------------------


def test_preparing_again_starts_a_new_look_from_the_original(harness: Harness) -> None:
    image = accept(harness.intake, lane=Lane.BULK)
    advance_to(harness.progress, image, Stage.INFERENCE)
    waiting(harness)
    held = must_claim(harness.progress, Stage.INFERENCE, image)
    assert complete(harness.progress, held, PrepareAgain("the prepared frame is gone"))
    assert waiting(harness) == [
        ("frame-submitted-bulk", FrameSubmitted(FACILITY, image.image_id, 2, Lane.BULK)),
    ]
    assert (record(harness, image).state, record(harness, image).look) == (ImageState.RECEIVED, 2)
    again = must_claim(harness.progress, Stage.PREPROCESS, image, look=2)
    assert (again.attempt, again.prepared) == (1, None)
    assert complete(harness.progress, again, prepared("prepared/second"))
    at_inference = must_claim(harness.progress, Stage.INFERENCE, image, look=2)
    assert at_inference.prepared == prepared("prepared/second")


def test_messages_of_an_older_look_are_stale(harness: Harness) -> None:
    image = accept(harness.intake)
    advance_to(harness.progress, image, Stage.INFERENCE)
    held = must_claim(harness.progress, Stage.INFERENCE, image)
    assert complete(harness.progress, held, PrepareAgain("gone"))
    for stage in (Stage.PREPROCESS, Stage.INFERENCE, Stage.GATE):
        assert claim(harness.progress, stage, image, look=1) is Denied.STALE
    assert complete(harness.progress, must_claim(harness.progress, Stage.PREPROCESS, image, look=2), prepared())
    assert claim(harness.progress, Stage.INFERENCE, image, look=1) is Denied.STALE
    assert complete(harness.progress, held, PrepareAgain("gone")), "the same completion had been made before"
    assert record(harness, image).look == 2


# --- the end --------------------------------------------------------------------------------------------------------


def test_an_outcome_ends_the_image_with_all_that_belongs_to_it(harness: Harness) -> None:
    image = accept(harness.intake, metadata={"shipment": "S-1"})
    advance_to(harness.progress, image, Stage.GATE, ("box", "damage"))
    before = len(harness.audit())
    alert = Alert("damage", "critical", "dock-7", "A box is damaged.")
    end = outcome(Verdict.FAIL, 3, alert)
    assert complete(harness.progress, must_claim(harness.progress, Stage.GATE, image), end, work_ms=2.5)
    found = record(harness, image)
    assert (found.state, found.verdict, found.reason, found.detail, found.policy_version) == (
        ImageState.DECIDED,
        Verdict.FAIL,
        end.reason,
        end.detail,
        3,
    )
    assert found.detections == (
        ("box", 0.75, (0.0, 1.0, 10.0, 20.0)),
        ("damage", 0.625, (1.0, 2.0, 11.0, 21.0)),
    )
    assert (found.model, found.engine) == (MODEL, "openvino 2025 int8")
    assert found.decided_at is not None
    assert [(a.image_id, a.rule, a.severity, a.subject) for a in harness.alerts()] == [
        (str(image.image_id), "damage", "critical", "dock-7")
    ]
    assert any(e.object == str(image.image_id) for e in harness.audit()[before:])


@pytest.mark.parametrize("state", [ImageState.REJECTED, ImageState.FAILED])
def test_an_image_ends_without_a_verdict_when_it_was_not_inspected(harness: Harness, state: ImageState) -> None:
    image = accept(harness.intake)
    finding = Refused("truncated", "Short.") if state is ImageState.REJECTED else Failed("exhausted", "Over.")
    assert complete(harness.progress, must_claim(harness.progress, Stage.PREPROCESS, image), finding)
    end = Outcome(state, None, finding.reason, finding.detail, 1)
    assert complete(harness.progress, must_claim(harness.progress, Stage.GATE, image), end)
    found = record(harness, image)
    assert (found.state, found.verdict, found.reason, found.detections) == (state, None, finding.reason, ())
    assert (found.model, found.prepared, found.quality) == (None, None, None)


def test_an_image_without_detections_is_decided_too(harness: Harness) -> None:
    image = accept(harness.intake)
    decide(harness.progress, image, outcome(Verdict.REVIEW), ())
    assert (record(harness, image).verdict, record(harness, image).detections) == (Verdict.REVIEW, ())


def test_tokens_are_never_used_twice(harness: Harness) -> None:
    image = accept(harness.intake)
    tokens: set[UUID] = set()
    for _ in range(5):
        held = must_claim(harness.progress, Stage.PREPROCESS, image)
        tokens.add(held.token)
        harness.progress.give_back([held], Ending.RELEASED, "")
    assert len(tokens) == 5


def test_numbers_and_flags_of_the_prepared_frame_survive(harness: Harness) -> None:
    image = accept(harness.intake)
    wanted = prepared("prepared/exact")
    assert complete(harness.progress, must_claim(harness.progress, Stage.PREPROCESS, image), wanted)
    got = must_claim(harness.progress, Stage.INFERENCE, image).prepared
    assert isinstance(got, Prepared)
    assert got.to_json() == wanted.to_json()
