"""What happens between the steps: half-failed rounds, shutdown at bad moments, threads that die."""

import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest

from framegate.bootstrap.stages import with_room_for_ten
from framegate.kernel.errors import DecoderCrashed, DependencyUnavailable
from framegate.kernel.ids import DEFAULT_FACILITY, ImageId
from framegate.kernel.inspection import Failed, Outcome
from framegate.kernel.messages import FramePrepared, FrameSubmitted, encode
from framegate.kernel.states import ImageState, Stage
from framegate.observability.catalogue import IN_FLIGHT
from framegate.observability.logs import get_log
from framegate.observability.metrics import Metrics
from framegate.ports.progress import Claim, Completion, Result
from framegate.worker.batching import ReadyBuffer
from framegate.worker.lease import Lease
from tests.support.values import prepared
from tests.unit.worker.conftest import OPTIONS, Rig, ScriptedStage

LANE = "frame-submitted-live"


def inspected(rig: Rig, images: Sequence[ImageId]) -> bool:
    return all(rig.state(image) is ImageState.INSPECTED for image in images)


def failing(real: Callable[..., Any], times: int) -> Callable[..., Any]:
    """`real`, after it was not available so often."""
    failures = iter(range(times))

    def call(*arguments: Any, **more: Any) -> Any:
        if next(failures, None) is not None:
            raise DependencyUnavailable("away")
        return real(*arguments, **more)

    return call


def prepare(rig: Rig, images: Sequence[ImageId], crashed: Sequence[ImageId] = ()) -> None:
    """Brings `images` before inference; around `crashed`, an inference process has died."""
    rig.stage.stage = Stage.INFERENCE
    messages = [FrameSubmitted(DEFAULT_FACILITY, image) for image in images]
    claims = rig.store.progress.claim(Stage.PREPROCESS, messages, "before", timedelta(seconds=60))
    rig.store.progress.complete([Completion(c, prepared()) for c in claims if isinstance(c, Claim)])
    rig.queue.purge(LANE)
    for image in crashed:
        rig.store.state.images[image].solo = True


# --- fetch -----------------------------------------------------------------------------------------------------------


def test_images_that_were_claimed_are_worked_on_although_their_neighbour_could_not_be_put_back(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = rig.accept(3)
    rig.queue.send(LANE, [encode(FrameSubmitted(DEFAULT_FACILITY, images[0]))])  # busy: the claim is this worker's own
    monkeypatch.setattr(rig.queue, "release", failing(rig.queue.release, 1))
    with rig.running():
        rig.until(lambda: inspected(rig, images))  # no lease has to run out: the clock stands still
    assert all(rig.record(image).attempts == 1 for image in images)
    assert all(rig.record(image).history == () for image in images)


def test_good_messages_go_on_although_a_bad_one_cannot_be_buried(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.queue.send(LANE, ["{not json"])
    images = rig.accept(3)
    monkeypatch.setattr(rig.queue, "dead_letter", failing(rig.queue.dead_letter, 1))
    with rig.running():
        rig.until(lambda: inspected(rig, images))
        rig.until(lambda: len(rig.queue.list_dead()) == 1, step_s=5)


def test_an_image_that_must_run_alone_is_not_overtaken_by_the_whole_backlog(rig: Rig) -> None:
    images = rig.accept(120)
    prepare(rig, images, crashed=images[:1])
    with rig.running():
        rig.until(lambda: inspected(rig, images))
    assert [images[0]] in rig.stage.batches
    handled = [image for batch in rig.stage.batches for image in batch]
    assert handled.index(images[0]) < 20
    assert rig.metrics.value(IN_FLIGHT, {"stage": "inference"}) == 0


def test_nothing_else_is_held_while_an_image_runs_alone_and_what_waits_its_turn_keeps_its_message(rig: Rig) -> None:
    images = rig.accept(12)
    suspects = images[:4]
    prepare(rig, images, crashed=suspects)
    claimed: list[int] = []
    visible_again: list[int] = []

    def slow(jobs: Sequence[Claim]) -> None:
        if jobs[0].image.image_id in suspects:
            claimed.append(sum(row.lease is not None for row in rig.store.state.images.values()))
            for _ in range(20):  # 100 s of a 60 s lease
                rig.clock.advance(5)
                threading.Event().wait(0.02)
            visible_again.append(rig.queue.depth("frame-prepared-live").ready)

    rig.stage.on_handle = slow
    with rig.running(max_batch=12, prefetch=0):
        rig.until(lambda: inspected(rig, images))
    assert claimed == [1, 1, 1, 1]
    assert visible_again == [0, 0, 0, 0]
    assert all(rig.record(image).attempts == 2 for image in images)  # one in preprocess, one in inference


def test_two_workers_bring_what_must_run_alone_to_its_end(rig: Rig) -> None:
    images = rig.accept(80)
    suspects = images[::10]
    prepare(rig, images, crashed=suspects)
    with rig.running(owner="a"), rig.running(owner="b"):
        rig.until(lambda: inspected(rig, images), step_s=0.05)
    assert all([image] in rig.stage.batches for image in suspects)
    assert all(rig.record(image).history == () for image in images)


def test_what_waits_to_run_alone_is_put_back_when_the_worker_stops(rig: Rig) -> None:
    images = rig.accept(6)
    prepare(rig, images, crashed=images)
    rig.stage.on_handle = lambda jobs: rig.stop.set()
    with rig.running(max_batch=6):
        rig.until(rig.stop.is_set)
    depth = rig.queue.depth("frame-prepared-live")
    assert (depth.ready, depth.in_flight) == (5, 0)
    assert rig.error is None


def test_nothing_more_is_loaded_once_the_worker_is_told_to_stop(rig: Rig) -> None:
    images = rig.accept(6)
    loads: list[ImageId] = []

    def load(claim: Claim) -> None:
        loads.append(claim.image.image_id)
        rig.stop.set()

    rig.stage.on_load = load
    with rig.running():
        rig.until(rig.stop.is_set)
    assert len(loads) == 1
    assert rig.queue.depth(LANE).in_flight == 0
    assert all(rig.record(i).attempts == 0 for i in images if rig.state(i) is ImageState.RECEIVED)


# --- work ------------------------------------------------------------------------------------------------------------


class Miscounting(ScriptedStage):
    """Answers the first batch with one result too few."""

    def handle(self, jobs: Sequence[Claim]) -> list[Result]:
        results = super().handle(jobs)
        return results[1:] if len(self.batches) == 1 else results


def test_a_stage_that_answers_with_too_few_results_fails_the_attempt_and_not_the_worker(rig: Rig) -> None:
    (image,) = rig.accept(1)
    rig.stage = Miscounting()
    with rig.running():
        rig.until(lambda: inspected(rig, [image]), step_s=1)
    assert rig.error is None
    assert "0 results for 1" in rig.record(image).history[0]["cause"]


def test_a_crash_in_a_batch_is_counted_only_against_the_image_that_also_crashes_alone(rig: Rig) -> None:
    images = rig.accept(4)
    guilty = images[2]

    def crash(jobs: Sequence[Claim]) -> None:
        if any(job.image.image_id == guilty for job in jobs):
            raise DecoderCrashed

    rig.stage.on_handle = crash
    with rig.running():
        rig.until(lambda: inspected(rig, [i for i in images if i != guilty]))
    assert all(rig.record(i).history == () for i in images if i != guilty)
    assert rig.record(guilty).history[0]["ending"] == "crash"


def test_running_out_of_memory_on_a_batch_fails_nobody_who_fits_alone(rig: Rig) -> None:
    images = rig.accept(8)

    def full(jobs: Sequence[Claim]) -> None:
        if len(jobs) > 1:
            raise MemoryError

    rig.stage.on_handle = full
    with rig.running():
        rig.until(lambda: inspected(rig, images))
    assert rig.error is None


def test_a_batch_whose_dependency_is_away_is_given_back_when_the_worker_stops(rig: Rig) -> None:
    (image,) = rig.accept(1)

    def away(jobs: Sequence[Claim]) -> None:
        raise DependencyUnavailable("the disk is full")

    rig.stage.on_handle = away
    with rig.running(drain=timedelta(seconds=0.3)) as worker:
        rig.until(lambda: worker.trouble != "")
    depth = rig.queue.depth(LANE)
    assert (depth.ready, depth.in_flight) == (1, 0)
    assert rig.record(image).attempts == 0
    assert rig.error is None


def test_takers_that_find_nothing_left_go_on_waiting() -> None:
    buffer: ReadyBuffer[int] = ReadyBuffer()
    buffer.put(1)
    taken: list[list[int]] = []
    takers = [
        threading.Thread(target=lambda: taken.append(buffer.take(4, timedelta(seconds=0.2))), daemon=True)
        for _ in range(2)
    ]
    for taker in takers:
        taker.start()
    while not taken:
        threading.Event().wait(0.01)
    buffer.put(2)
    for taker in takers:
        taker.join(10)
    assert sorted(taken) == [[1], [2]]


# --- settle ----------------------------------------------------------------------------------------------------------


def test_a_result_that_cannot_be_stored_fails_its_own_attempt_and_not_its_neighbours(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = rig.accept(8)
    bad, complete = images[5], rig.store.progress.complete

    def refuse(completions: Sequence[Completion]) -> list[bool]:
        if any(c.claim.image.image_id == bad for c in completions):
            raise ValueError("invalid byte sequence")
        return complete(completions)

    monkeypatch.setattr(rig.store.progress, "complete", refuse)
    with rig.running():
        rig.until(lambda: inspected(rig, [i for i in images if i != bad]))
        rig.until(lambda: len(rig.record(bad).history) > 1, step_s=1)
    assert rig.error is None
    assert rig.record(bad).history[0]["cause"] == "ValueError: invalid byte sequence"


class Deciding(ScriptedStage):
    """The gate: every image is done with."""

    def handle(self, jobs: Sequence[Claim]) -> list[Result]:
        super().handle(jobs)
        return [Outcome(ImageState.FAILED, None, "poison", "for the test", 1) for _ in jobs]


def test_an_image_convicted_earlier_goes_through_the_gate_like_any_other(rig: Rig) -> None:
    (image,) = rig.accept(1)
    prepare(rig, [image])
    (claim,) = rig.store.progress.claim(Stage.INFERENCE, [FramePrepared(DEFAULT_FACILITY, image)], "x", timedelta(60))
    assert isinstance(claim, Claim)
    rig.store.state.images[image].crashes = 3
    rig.store.progress.complete([Completion(claim, Failed("poison", "three crashes"))])
    rig.stage = Deciding(stage=Stage.GATE)
    with rig.running():
        rig.until(lambda: rig.state(image) is ImageState.FAILED)
    assert rig.error is None


def test_a_gate_that_cannot_decide_goes_on_trying_and_takes_no_worker_with_it(rig: Rig) -> None:
    (image,) = rig.accept(1)
    prepare(rig, [image])
    (claim,) = rig.store.progress.claim(Stage.INFERENCE, [FramePrepared(DEFAULT_FACILITY, image)], "x", timedelta(60))
    assert isinstance(claim, Claim)
    rig.store.progress.complete([Completion(claim, Failed("engine-output", "NaN"))])
    failures = iter(range(7))

    def undecided(jobs: Sequence[Claim]) -> None:
        if next(failures, None) is not None:
            raise ValueError("a policy that nobody understands")

    rig.stage = Deciding(stage=Stage.GATE, on_handle=undecided)
    with rig.running(max_attempts=9, last_attempt=3):
        rig.until(lambda: rig.state(image) is ImageState.FAILED, step_s=5)
    assert rig.error is None


def test_a_failure_that_cannot_be_stored_either_ends_the_worker(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.accept(1)

    def refuse(_: object) -> None:
        raise ValueError("no such column")

    monkeypatch.setattr(rig.store.progress, "complete", refuse)
    with rig.running(max_attempts=9, last_attempt=2):
        rig.until(rig.stop.is_set, step_s=5)
    assert isinstance(rig.error, ValueError)


# --- shutdown --------------------------------------------------------------------------------------------------------


def test_stopping_while_the_database_is_away_is_not_an_error(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.accept(3)
    monkeypatch.setattr(rig.store.progress, "complete", failing(rig.store.progress.complete, 10**6))
    with rig.running(drain=timedelta(seconds=0.3)) as worker:
        rig.until(lambda: worker.trouble != "")
    assert rig.error is None


def test_a_receive_that_begins_just_after_the_stop_is_interrupted_too(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive, interrupt, interrupted = rig.queue.receive, rig.queue.interrupt, threading.Event()

    def late(*arguments: Any) -> Any:
        rig.stop.set()
        interrupted.wait(10)
        return receive(*arguments)

    def note() -> None:
        interrupt()
        interrupted.set()

    monkeypatch.setattr(rig.queue, "receive", late)
    monkeypatch.setattr(rig.queue, "interrupt", note)
    with rig.running(poll=timedelta(hours=1), drain=timedelta(seconds=3)):
        rig.until(rig.stop.is_set)
    assert [t.name for t in threading.enumerate() if t.name.startswith("preprocess-")] == []


def test_a_stage_that_is_still_working_is_not_closed_under_its_own_feet(rig: Rig) -> None:
    rig.accept(1)
    working, go_on = threading.Event(), threading.Event()

    def hang(jobs: Sequence[Claim]) -> None:
        working.set()
        go_on.wait(20)

    rig.stage.on_handle = hang
    with rig.running(drain=timedelta(seconds=0.2)):
        working.wait(10)
    assert not rig.stage.closed
    go_on.set()


def test_a_worker_whose_leases_are_not_renewed_any_more_stops_with_an_error(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.accept(1)

    def broken(*_: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(rig.queue, "extend", broken)
    rig.stage.on_handle = lambda jobs: rig.until(rig.stop.is_set)
    with rig.running():
        rig.until(rig.stop.is_set, step_s=1)
    assert isinstance(rig.error, ValueError)


def test_waiting_for_room_ends_when_the_worker_stops(rig: Rig) -> None:
    lease: Lease[Claim] = Lease(
        rig.queue, rig.store.progress, timedelta(seconds=60), rig.clock, Metrics(), get_log(), "preprocess"
    )
    waiter = threading.Thread(target=lambda: lease.wait_below(0, 60, rig.stop), daemon=True)
    waiter.start()
    rig.stop.set()
    lease.wake()
    waiter.join(10)
    assert not waiter.is_alive()


def test_with_a_queue_whose_receives_bring_ten_a_worker_asks_for_no_less(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, receive, limits = rig.accept(100), rig.queue.receive, []

    def noting(queues: Sequence[str], limit: int, *more: Any) -> Any:
        limits.append(limit)
        return receive(queues, min(limit, 10), *more)

    monkeypatch.setattr(rig.queue, "receive", noting)
    with rig.running(prefetch=with_room_for_ten(OPTIONS).prefetch):
        rig.until(lambda: all(rig.state(image) is ImageState.INSPECTED for image in images))
    assert OPTIONS.prefetch < 10
    assert min(limits) >= 10


def test_what_a_receive_brings_after_the_stop_goes_back_at_once(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    images, receive = rig.accept(3), rig.queue.receive

    def slow(*given: Any) -> Any:
        brought = receive(*given)
        rig.stop.set()
        return brought

    monkeypatch.setattr(rig.queue, "receive", slow)
    with rig.running():
        rig.until(rig.stop.is_set)
    depth = rig.queue.depth(LANE)
    assert (depth.ready, depth.in_flight, depth.delayed) == (3, 0, 0)
    assert all(rig.state(image) is ImageState.RECEIVED for image in images)
