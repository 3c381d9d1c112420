"""The narrow door through which images move: nothing is lost, nothing happens twice, nothing goes back."""

import threading
from uuid import UUID, uuid4

import pytest

from framegate.kernel.ids import FacilityId, ImageId
from framegate.kernel.inspection import Alert, Failed, Inspected, Prepared, Refused
from framegate.kernel.messages import FrameInspected, FramePrepared, FrameSubmitted, Message, decode
from framegate.kernel.states import ImageState, Lane, Stage, Verdict
from framegate.pipeline import ALL_QUEUES, queue_name
from framegate.ports.progress import Claim, Completion, Denied, Ending, PrepareAgain
from framegate.ports.store import ImageRecord, NewImage

from .examples import (
    CAMERA,
    FACILITY,
    LEASE,
    MODEL,
    OTHER_FACILITY,
    accept,
    advance_to,
    claim,
    complete,
    decide,
    inspected,
    message,
    must_claim,
    new_image,
    outcome,
    prepared,
)
from .harness import Harness, seconds

EXPIRE_S = LEASE.total_seconds() + 1


def record(harness: Harness, image: NewImage) -> ImageRecord:
    found = harness.results.image(frozenset({image.facility}), image.image_id)
    assert found is not None
    return found


def waiting(harness: Harness) -> list[tuple[str, Message]]:
    """Takes every message out of every queue."""
    taken: list[tuple[str, Message]] = []
    for queue in ALL_QUEUES:
        while deliveries := harness.queue.receive([queue], 100, seconds(0), seconds(60)):
            harness.queue.acknowledge(deliveries)
            taken += [(d.queue, decode(d.body)) for d in deliveries]
    return taken


# --- claim ---------------------------------------------------------------------------------------------------------


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


# --- extend --------------------------------------------------------------------------------------------------------


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


# --- complete ------------------------------------------------------------------------------------------------------


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
    finding = Failed("engine-output", "Not a number.")
    assert complete(harness.progress, must_claim(harness.progress, Stage.INFERENCE, image), finding)
    assert must_claim(harness.progress, Stage.GATE, image).finding == finding


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


# --- a second look -------------------------------------------------------------------------------------------------


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


# --- endings that are not completions ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ending", "next_attempt", "crashes"),
    [(Ending.RELEASED, 1, 0), (Ending.DEPENDENCY, 1, 0), (Ending.ERROR, 2, 0), (Ending.CRASH, 2, 1)],
)
def test_giving_back_charges_what_the_ending_says(
    harness: Harness, ending: Ending, next_attempt: int, crashes: int
) -> None:
    image = accept(harness.intake)
    harness.progress.give_back([must_claim(harness.progress, Stage.PREPROCESS, image)], ending, "a cause")
    again = must_claim(harness.progress, Stage.PREPROCESS, image)
    assert (again.attempt, again.crashes) == (next_attempt, crashes)


@pytest.mark.parametrize("ending", list(Ending))
def test_the_cause_is_kept_in_the_history_except_for_what_was_not_started(harness: Harness, ending: Ending) -> None:
    image = accept(harness.intake)
    held = must_claim(harness.progress, Stage.PREPROCESS, image, "worker-1")
    harness.progress.give_back([held], ending, "a cause")
    history = record(harness, image).history
    if ending is Ending.RELEASED:
        assert history == ()
        return
    (entry,) = history
    assert (entry["stage"], entry["worker"], entry["ending"], entry["cause"]) == (
        "preprocess",
        "worker-1",
        str(ending),
        "a cause",
    )
    assert entry["at"]


def test_giving_back_twice_charges_once(harness: Harness) -> None:
    image = accept(harness.intake)
    held = must_claim(harness.progress, Stage.PREPROCESS, image)
    for _ in range(2):
        harness.progress.give_back([held], Ending.CRASH, "died")
    again = must_claim(harness.progress, Stage.PREPROCESS, image)
    assert (again.attempt, again.crashes) == (2, 1)
    assert len(record(harness, image).history) == 1


def test_giving_back_frees_the_image_at_once_and_sends_no_message(harness: Harness) -> None:
    images = [accept(harness.intake) for _ in range(2)]
    waiting(harness)
    harness.progress.give_back(
        [must_claim(harness.progress, Stage.PREPROCESS, image) for image in images], Ending.RELEASED, ""
    )
    assert waiting(harness) == []
    assert all(isinstance(claim(harness.progress, Stage.PREPROCESS, image), Claim) for image in images)


# --- crashes -------------------------------------------------------------------------------------------------------


def at_inference(harness: Harness) -> NewImage:
    image = accept(harness.intake)
    advance_to(harness.progress, image, Stage.INFERENCE)
    return image


def test_an_image_whose_worker_died_runs_alone_next_time(harness: Harness) -> None:
    image = at_inference(harness)
    first = must_claim(harness.progress, Stage.INFERENCE, image)
    harness.advance(EXPIRE_S)
    second = must_claim(harness.progress, Stage.INFERENCE, image)
    assert (first.solo, second.solo) == (False, True)
    assert second.crashes == 0, "it was not alone: nobody is convicted"


def test_a_worker_that_dies_with_one_image_alone_counts_as_its_crash(harness: Harness) -> None:
    image = at_inference(harness)
    must_claim(harness.progress, Stage.INFERENCE, image)
    seen = []
    for _ in range(4):
        harness.advance(EXPIRE_S)
        held = must_claim(harness.progress, Stage.INFERENCE, image)
        seen.append((held.solo, held.crashes))
    assert seen == [(True, 0), (True, 1), (True, 2), (True, 3)]


def test_a_solo_run_that_was_put_off_stays_solo_and_is_no_crash(harness: Harness) -> None:
    image = at_inference(harness)
    must_claim(harness.progress, Stage.INFERENCE, image)
    harness.advance(EXPIRE_S)
    for ending in (Ending.RELEASED, Ending.DEPENDENCY, Ending.ERROR):
        held = must_claim(harness.progress, Stage.INFERENCE, image)
        assert (held.solo, held.crashes) == (True, 0)
        harness.progress.give_back([held], ending, "later")
    assert must_claim(harness.progress, Stage.INFERENCE, image).solo


def test_a_dead_preprocess_worker_convicts_nobody(harness: Harness) -> None:
    image = accept(harness.intake)
    for _ in range(5):
        held = must_claim(harness.progress, Stage.PREPROCESS, image)
        assert held.crashes == 0
        harness.advance(EXPIRE_S)
    assert must_claim(harness.progress, Stage.PREPROCESS, image).crashes == 0


def test_crashes_told_by_a_living_worker_are_counted(harness: Harness) -> None:
    image = accept(harness.intake)
    seen = []
    for _ in range(3):
        held = must_claim(harness.progress, Stage.PREPROCESS, image)
        seen.append(held.crashes)
        harness.progress.give_back([held], Ending.CRASH, "the decoder died")
    assert seen == [0, 1, 2]
    assert must_claim(harness.progress, Stage.PREPROCESS, image).crashes == 3


def test_a_takeover_leaves_a_trace_in_the_history(harness: Harness) -> None:
    image = at_inference(harness)
    must_claim(harness.progress, Stage.INFERENCE, image, "dead-worker")
    harness.advance(EXPIRE_S)
    must_claim(harness.progress, Stage.INFERENCE, image)
    (entry,) = record(harness, image).history
    assert (entry["stage"], entry["worker"]) == ("inference", "dead-worker")


def test_recover_ends_the_leases_of_that_owner_only(harness: Harness) -> None:
    mine, others = at_inference(harness), at_inference(harness)
    lost = must_claim(harness.progress, Stage.INFERENCE, mine, "dead")
    must_claim(harness.progress, Stage.INFERENCE, others, "living")
    assert harness.progress.recover("dead") == 1
    assert claim(harness.progress, Stage.INFERENCE, others) is Denied.BUSY
    taken = must_claim(harness.progress, Stage.INFERENCE, mine, "dead")
    assert taken.solo, "its worker died"
    assert taken.attempt == 2
    assert complete(harness.progress, lost, inspected()) is False
    assert harness.progress.recover("nobody") == 0


def test_recovering_twice_frees_nothing_more(harness: Harness) -> None:
    must_claim(harness.progress, Stage.INFERENCE, at_inference(harness), "dead")
    assert [harness.progress.recover("dead") for _ in range(2)] == [1, 0]


# --- the end -------------------------------------------------------------------------------------------------------


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
    from framegate.kernel.inspection import Outcome

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
