"""The trace of an image goes with its messages, and is not lost with them."""

from datetime import timedelta

import pytest

from framegate.kernel.states import ImageState, Stage
from framegate.pipeline import ALL_QUEUES
from framegate.ports.progress import Claim, Completion, PrepareAgain
from framegate.ports.store import NewImage

from .examples import FACILITY, LEASE, accept, advance_to, new_image, prepared
from .harness import Harness, seconds, waiting

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
LATER = "00-4bf92f3577b34da6a3ce929d0e0e4736-b7ad6b7169203331-01"
IDLE = dict.fromkeys((ImageState.RECEIVED, ImageState.PREPARED, ImageState.INSPECTED), timedelta(seconds=60))


def take(harness: Harness, stage: Stage) -> Claim:
    """By the message that waits, as a worker does."""
    ((_, message),) = waiting(harness)
    (claim,) = harness.progress.claim(stage, [message], "worker", LEASE)
    assert isinstance(claim, Claim), claim
    return claim


def traces(harness: Harness) -> list[str]:
    return [message.trace for _, message in waiting(harness)]


def test_an_image_and_its_first_message_have_the_trace_of_the_upload(harness: Harness) -> None:
    image = accept(harness.intake, trace=TRACE)
    assert traces(harness) == [TRACE]
    record = harness.results.image(frozenset({FACILITY}), image.image_id)
    assert record is not None
    assert record.trace == TRACE


def test_an_image_without_a_trace_has_none(harness: Harness) -> None:
    image = accept(harness.intake)
    record = harness.results.image(frozenset({FACILITY}), image.image_id)
    assert record is not None
    assert (record.trace, traces(harness)) == ("", [""])


@pytest.mark.parametrize(("own", "expected"), [("", TRACE), (LATER, LATER)])
def test_what_follows_has_the_trace_of_the_completion_or_of_the_message_before(
    harness: Harness, own: str, expected: str
) -> None:
    accept(harness.intake, trace=TRACE)
    claim = take(harness, Stage.PREPROCESS)
    assert harness.progress.complete([Completion(claim, prepared(), trace=own)]) == [True]
    again = take(harness, Stage.INFERENCE)
    assert again.message.trace == expected
    assert harness.progress.complete([Completion(again, PrepareAgain("it is gone"))]) == [True]
    assert traces(harness) == [expected]


@pytest.mark.parametrize("stage", [Stage.PREPROCESS, Stage.INFERENCE, Stage.GATE])
def test_a_message_that_is_sent_again_has_the_trace_of_its_image(harness: Harness, stage: Stage) -> None:
    image: NewImage = accept(harness.intake, trace=TRACE)
    advance_to(harness.progress, image, stage)
    harness.purge()
    harness.advance(61)
    assert [one.trace for one in harness.upkeep.reissue_overdue(IDLE, 10)] == [TRACE]
    assert traces(harness) == [TRACE]


def test_an_upload_that_is_known_changes_no_trace(harness: Harness) -> None:
    first = accept(harness.intake, idempotency_key="k", trace=TRACE)
    again = new_image(idempotency_key="k", request_hash=first.request_hash, trace=LATER)
    assert [answer.replayed for answer in harness.intake.accept([again])] == [True]
    record = harness.results.image(frozenset({FACILITY}), first.image_id)
    assert record is not None
    assert record.trace == TRACE


def test_a_trace_comes_back_from_the_dead_letters(harness: Harness) -> None:
    accept(harness.intake, trace=TRACE)
    (delivery,) = harness.queue.receive(ALL_QUEUES, 1, seconds(0), seconds(60))
    harness.queue.dead_letter(delivery, "a test")
    assert harness.queue.redrive() == 1
    assert traces(harness) == [TRACE]
