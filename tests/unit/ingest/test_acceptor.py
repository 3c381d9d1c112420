import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from framegate.ingest.acceptor import Acceptor
from framegate.kernel.errors import DependencyUnavailable
from framegate.kernel.ids import ImageId
from framegate.kernel.states import ImageState
from framegate.ports.store import Accepted, NewImage
from tests.contracts.examples import new_image


class ScriptedIntake:
    """Notes its batches; waits for `gate`, breaks for images in `bad`, is absent while `down`."""

    def __init__(self) -> None:
        self.batches: list[list[ImageId]] = []
        self.bad: set[ImageId] = set()
        self.down = False
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.gate.set()

    def accept(self, images: Sequence[NewImage]) -> list[Accepted]:
        self.batches.append([image.image_id for image in images])
        self.entered.set()
        assert self.gate.wait(30)
        if self.down:
            raise DependencyUnavailable
        if any(image.image_id in self.bad for image in images):
            raise ValueError("one of them is bad")
        return [Accepted(image.image_id, ImageState.RECEIVED, None) for image in images]


def submit(acceptor: Acceptor, image: NewImage) -> Future[Accepted]:
    future: Future[Accepted] = Future()

    def done(answer: Accepted | BaseException) -> None:
        if isinstance(answer, BaseException):
            future.set_exception(answer)
        else:
            future.set_result(answer)

    acceptor.submit(image, done)
    return future


def together(intake: ScriptedIntake, images: list[NewImage], max_batch: int = 32) -> list[Future[Accepted]]:
    """The first is being accepted while the others come."""
    acceptor = Acceptor(intake, max_batch)
    intake.gate.clear()
    with ThreadPoolExecutor(1) as pool:
        leading = pool.submit(submit, acceptor, images[0])
        assert intake.entered.wait(30)
        following = [submit(acceptor, image) for image in images[1:]]
        assert not any(future.done() for future in following)
        intake.gate.set()
        return [leading.result(30), *following]


def test_what_arrives_while_a_transaction_runs_shares_the_next_one() -> None:
    intake, images = ScriptedIntake(), [new_image() for _ in range(6)]
    futures = together(intake, images)
    assert [len(batch) for batch in intake.batches] == [1, 5]
    assert [future.result(30).image_id for future in futures] == [image.image_id for image in images]


def test_a_single_upload_waits_for_nobody() -> None:
    intake, image = ScriptedIntake(), new_image()
    assert submit(Acceptor(intake), image).result(0).image_id == image.image_id


def test_a_transaction_holds_no_more_than_the_most() -> None:
    intake = ScriptedIntake()
    together(intake, [new_image() for _ in range(10)], max_batch=4)
    assert [len(batch) for batch in intake.batches] == [1, 4, 4, 1]


def test_one_bad_upload_fails_alone() -> None:
    intake, images = ScriptedIntake(), [new_image() for _ in range(5)]
    intake.bad = {images[2].image_id}
    futures = together(intake, images)
    assert [future.exception(30) is None for future in futures] == [True, True, False, True, True]


def test_when_the_database_is_away_everybody_hears_of_it_without_being_asked_about_one_by_one() -> None:
    intake, images = ScriptedIntake(), [new_image() for _ in range(5)]
    intake.down = True
    futures = together(intake, images)
    assert all(isinstance(future.exception(30), DependencyUnavailable) for future in futures)
    assert len(intake.batches) == 2


def test_after_an_error_the_next_upload_is_accepted() -> None:
    intake = ScriptedIntake()
    acceptor = Acceptor(intake)
    intake.down = True
    assert submit(acceptor, new_image()).exception(0) is not None
    intake.down = False
    assert submit(acceptor, new_image()).exception(0) is None


def test_many_threads_lose_nothing_and_mix_up_nothing() -> None:
    intake = ScriptedIntake()
    acceptor = Acceptor(intake)
    images = [new_image() for _ in range(500)]
    with ThreadPoolExecutor(8) as pool:
        futures = list(pool.map(lambda image: submit(acceptor, image), images))
    assert [future.result(30).image_id for future in futures] == [image.image_id for image in images]
    assert sum(len(batch) for batch in intake.batches) == 500
