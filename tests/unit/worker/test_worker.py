import threading
from collections.abc import Sequence
from datetime import timedelta
from uuid import uuid4

from framegate.kernel.errors import BlobMissing, DecoderCrashed, DependencyUnavailable, EngineFault, Unrecoverable
from framegate.kernel.ids import DEFAULT_FACILITY, ImageId
from framegate.kernel.inspection import Failed
from framegate.kernel.messages import FrameSubmitted, encode
from framegate.kernel.states import ImageState, Lane, Stage
from framegate.observability.catalogue import CLAIMS_LOST, MESSAGES_STALE
from framegate.ports.progress import Claim, Completion
from tests.unit.worker.conftest import Rig


def inspected(rig: Rig, images: Sequence[ImageId]) -> bool:
    return all(rig.state(image) is ImageState.INSPECTED for image in images)


def finding(rig: Rig, image: ImageId) -> object:
    return rig.store.state.images[image].finding


def test_every_image_moves_forward_and_its_message_is_gone(rig: Rig) -> None:
    images = rig.accept(20)
    with rig.running():
        rig.until(lambda: inspected(rig, images) and rig.in_queue() == 0)
    assert rig.in_queue("frame-inspected") == 20
    assert sorted(rig.stage.cleaned) == sorted(images)
    assert rig.stage.closed
    assert rig.error is None


def test_a_message_that_comes_twice_has_one_effect(rig: Rig) -> None:
    images = rig.accept(5)
    rig.queue.send("frame-submitted-live", [encode(FrameSubmitted(DEFAULT_FACILITY, i)) for i in images])
    with rig.running():
        rig.until(lambda: inspected(rig, images) and rig.in_queue() == 0, step_s=0.5)
    assert rig.in_queue("frame-inspected") == 5
    assert rig.metrics.value(MESSAGES_STALE, {"stage": "preprocess"}) == 5


def test_one_bad_image_does_not_fail_its_neighbours(rig: Rig) -> None:
    images = rig.accept(8)
    bad = images[3]

    def refuse(jobs: Sequence[Claim]) -> None:
        if any(job.image.image_id == bad for job in jobs):
            raise EngineFault("not this one")

    rig.stage.on_handle = refuse
    with rig.running():
        rig.until(lambda: inspected(rig, [i for i in images if i != bad]))
        assert rig.state(bad) is ImageState.RECEIVED
    assert rig.record(bad).history[0]["cause"] == "EngineFault: not this one"


def test_an_image_whose_every_attempt_fails_becomes_a_dead_letter_and_in_the_end_fails(rig: Rig) -> None:
    (image,) = rig.accept(1)

    def fail(jobs: Sequence[Claim]) -> None:
        raise ValueError("always")

    rig.stage.on_handle = fail
    with rig.running(max_attempts=2, last_attempt=4, tell=rig.store.incidents.raise_alert):
        rig.until(lambda: len(rig.queue.list_dead()) == 1, step_s=1)
        rig.until(lambda: len(rig.store.state.alerts) == 1)
        (told,) = rig.store.state.alerts
        assert (told.alert.subject, told.alert.rule) == ("dead-letters/frame-submitted-live", "operations")
        assert "always" in told.alert.summary
        assert "always" in rig.queue.list_dead()[0].cause
        assert rig.state(image) is ImageState.RECEIVED
        rig.queue.redrive()
        rig.until(lambda: inspected(rig, [image]), step_s=1)
    found = finding(rig, image)
    assert isinstance(found, Failed)
    assert found.reason == "exhausted"


def test_three_crashes_alone_convict_and_two_do_not(rig: Rig) -> None:
    poison, innocent = rig.accept(2)
    crashes = {poison: 99, innocent: 2}

    def crash(jobs: Sequence[Claim]) -> None:
        image = jobs[0].image.image_id
        if crashes[image]:
            crashes[image] -= 1
            raise DecoderCrashed("signal SIGSEGV")

    rig.stage.on_handle = crash
    with rig.running(max_batch=1, isolates=True):
        rig.until(lambda: inspected(rig, [poison, innocent]), step_s=1)
    found = finding(rig, poison)
    assert isinstance(found, Failed)
    assert found.reason == "poison"
    assert not isinstance(finding(rig, innocent), Failed)
    assert crashes[poison] == 96


def test_a_failing_dependency_is_never_charged_to_an_image(rig: Rig) -> None:
    (image,) = rig.accept(1)
    failures = iter(range(8))

    def unavailable(claim: Claim) -> None:
        if next(failures, None) is not None:
            raise DependencyUnavailable("the blob store is away")

    rig.stage.on_load = unavailable
    with rig.running() as worker:
        rig.until(lambda: worker.trouble != "")
        rig.until(lambda: inspected(rig, [image]), step_s=1)
        assert worker.trouble == ""
    assert rig.record(image).attempts == 1


def test_a_dependency_that_fails_in_the_work_itself_is_waited_for(rig: Rig) -> None:
    images = rig.accept(4)
    failures = iter(range(3))

    def unavailable(jobs: Sequence[Claim]) -> None:
        if next(failures, None) is not None:
            raise DependencyUnavailable("disk full")

    rig.stage.on_handle = unavailable
    with rig.running():
        rig.until(lambda: inspected(rig, images), step_s=1)
    assert all(rig.record(image).attempts == 1 for image in images)


def test_a_lost_original_fails_after_three_attempts(rig: Rig) -> None:
    (image,) = rig.accept(1)

    def missing(claim: Claim) -> None:
        raise BlobMissing

    rig.stage.on_load = missing
    with rig.running():
        rig.until(lambda: inspected(rig, [image]), step_s=1)
    found = finding(rig, image)
    assert isinstance(found, Failed)
    assert found.reason == "input-missing"


def test_a_result_whose_claim_was_lost_is_thrown_away_and_its_message_not_acknowledged(rig: Rig) -> None:
    (image,) = rig.accept(1)
    working, go_on = threading.Event(), threading.Event()

    def slow(jobs: Sequence[Claim]) -> None:
        working.set()
        go_on.wait(10)

    rig.stage.on_handle = slow
    with rig.running():
        working.wait(10)
        # Another worker believes this one dead and takes the image over.
        rig.store.progress.recover("test")
        claim = rig.store.progress.claim(
            Stage.PREPROCESS, [FrameSubmitted(DEFAULT_FACILITY, image)], "other", timedelta(seconds=60)
        )[0]
        assert isinstance(claim, Claim)
        go_on.set()
        rig.until(lambda: rig.metrics.value(CLAIMS_LOST, {"stage": "preprocess"}) == 1)
        rig.until(lambda: rig.queue.depth("frame-submitted-live").delayed == 1)
        assert rig.store.progress.complete([Completion(claim, Failed("exhausted", "the other's word"))]) == [True]
    assert finding(rig, image) == Failed("exhausted", "the other's word")
    assert rig.in_queue("frame-inspected") == 1


def test_what_takes_longer_than_its_lease_is_still_held(rig: Rig) -> None:
    images = rig.accept(3)
    working, go_on = threading.Event(), threading.Event()

    def slow(jobs: Sequence[Claim]) -> None:
        working.set()
        go_on.wait(20)

    rig.stage.on_handle = slow
    with rig.running():
        working.wait(10)
        for _ in range(40):  # 200 s of a 60 s lease
            rig.clock.advance(5)
            threading.Event().wait(0.02)
        assert rig.queue.receive(["frame-submitted-live"], 10, timedelta(), timedelta(seconds=1)) == []
        go_on.set()
        rig.until(lambda: inspected(rig, images))
    assert rig.metrics.value(CLAIMS_LOST, {"stage": "preprocess"}) == 0


def test_a_stopping_worker_finishes_what_runs_and_gives_back_the_rest(rig: Rig) -> None:
    images = rig.accept(8)
    working, go_on = threading.Event(), threading.Event()

    def slow(jobs: Sequence[Claim]) -> None:
        working.set()
        go_on.wait(10)

    rig.stage.on_handle = slow
    with rig.running(max_batch=2, prefetch=6):
        working.wait(10)
        rig.until(lambda: rig.queue.depth("frame-submitted-live").in_flight == 8)
        rig.stop.set()
        rig.until(lambda: rig.queue.depth("frame-submitted-live").in_flight <= 2)
        go_on.set()
    done = rig.stage.batches[0]
    assert 1 <= len(done) <= 2
    assert len(rig.stage.batches) == 1
    assert all(rig.state(i) is (ImageState.INSPECTED if i in done else ImageState.RECEIVED) for i in images)
    depth = rig.queue.depth("frame-submitted-live")
    assert (depth.ready, depth.in_flight) == (8 - len(done), 0)
    assert all(rig.record(i).attempts == 0 for i in images if i not in done)


def test_an_undecodable_message_goes_to_the_dead_letters_with_its_cause(rig: Rig) -> None:
    rig.queue.send("frame-submitted-live", ["{not json", '{"v":1}'])

    def away(*_: object) -> None:
        raise DependencyUnavailable

    with rig.running(tell=away):  # who cannot be told of it cannot hold it up
        rig.until(lambda: len(rig.queue.list_dead()) == 2)
    assert all("not a Framegate message" in letter.cause for letter in rig.queue.list_dead())


def test_a_message_about_an_unknown_image_goes_to_the_dead_letters(rig: Rig) -> None:
    rig.queue.send("frame-submitted-live", [encode(FrameSubmitted(DEFAULT_FACILITY, ImageId(uuid4())))])
    with rig.running():
        rig.until(lambda: len(rig.queue.list_dead()) == 1)


def test_a_message_of_a_newer_release_is_left_for_others(rig: Rig) -> None:
    rig.queue.send("frame-submitted-live", ['{"v":2,"type":"frame-submitted","new":"shape"}'])
    with rig.running():
        rig.until(lambda: rig.queue.depth("frame-submitted-live").delayed == 1)
    assert rig.queue.list_dead() == []


def test_an_unrecoverable_error_ends_the_worker_and_convicts_nobody(rig: Rig) -> None:
    images = rig.accept(4)

    def lost(jobs: Sequence[Claim]) -> None:
        raise Unrecoverable("CUDA error 719")

    rig.stage.on_handle = lost
    with rig.running():
        rig.until(rig.stop.is_set)
    assert isinstance(rig.error, Unrecoverable)
    assert all(rig.state(image) is ImageState.RECEIVED for image in images)


def test_a_new_worker_of_the_same_name_goes_on_at_once_with_what_its_predecessor_held(rig: Rig) -> None:
    images = rig.accept(3)
    queue = rig.queue.as_owner("test")
    deliveries = queue.receive(["frame-submitted-live"], 10, timedelta(), timedelta(seconds=3600))
    messages = [FrameSubmitted(DEFAULT_FACILITY, image) for image in images]
    rig.store.progress.claim(Stage.PREPROCESS, messages, "test", timedelta(seconds=3600))
    assert len(deliveries) == 3
    rig.queue = queue
    with rig.running(isolates=True):
        rig.until(lambda: inspected(rig, images))


def test_bulk_work_waits_for_live_work_but_not_for_ever(rig: Rig) -> None:
    lanes: list[str] = []
    rig.stage.on_handle = lambda jobs: lanes.extend(str(job.message.lane) for job in jobs)
    rig.accept(40)
    rig.accept(5, Lane.BULK)
    with rig.running(max_batch=1, prefetch=0):
        rig.until(lambda: len(lanes) == 45)
    assert 3 <= lanes.index("bulk") <= 8
    assert lanes.index("live") == 0
    assert lanes[-1] == "live"


def test_images_around_a_crash_run_alone_and_only_the_guilty_one_is_convicted(rig: Rig) -> None:
    rig.stage.stage = Stage.INFERENCE
    images = rig.accept(6)
    _prepare(rig, images)
    poison = images[2]

    class Died(BaseException):
        """The process is gone: nothing is settled."""

    def crash(jobs: Sequence[Claim]) -> None:
        if any(job.image.image_id == poison for job in jobs):
            raise Died

    rig.stage.on_handle = crash
    others = [i for i in images if i != poison]
    for _ in range(12):
        rig.stop, rig.error = threading.Event(), None
        with rig.running():
            rig.until(lambda: rig.stop.is_set() or inspected(rig, images), step_s=0.2)
        if inspected(rig, images):
            break
    assert isinstance(finding(rig, poison), Failed)
    assert not any(isinstance(finding(rig, i), Failed) for i in others)


def _prepare(rig: Rig, images: Sequence[ImageId]) -> None:
    from tests.support.values import prepared

    messages = [FrameSubmitted(DEFAULT_FACILITY, image) for image in images]
    claims = rig.store.progress.claim(Stage.PREPROCESS, messages, "before", timedelta(seconds=60))
    rig.store.progress.complete([Completion(c, prepared()) for c in claims if isinstance(c, Claim)])
    rig.queue.purge("frame-submitted-live")
