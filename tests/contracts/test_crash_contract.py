"""Attempts that do not complete: who is charged, who runs alone, who is convicted."""

import pytest

from framegate.kernel.states import Stage
from framegate.ports.progress import Claim, Denied, Ending
from framegate.ports.store import NewImage

from .examples import (
    LEASE,
    accept,
    advance_to,
    claim,
    complete,
    inspected,
    must_claim,
)
from .harness import Harness, record, waiting

EXPIRE_S = LEASE.total_seconds() + 1


# --- endings that are not completions -------------------------------------------------------------------------------


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


# --- crashes --------------------------------------------------------------------------------------------------------


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
