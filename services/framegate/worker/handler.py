"""What a stage is to the worker that runs it, and how the worker is set up."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, Protocol, TypeVar

from framegate.kernel.states import Stage
from framegate.observability.tracing import Unfinished
from framegate.ports.progress import Claim, Result
from framegate.ports.queue import Delivery
from framegate.worker.telling import Tell, told_nobody

J = TypeVar("J")


class Handler(Protocol[J]):
    """A stage. Idempotent: the same claim may be handled again after a crash."""

    @property
    def stage(self) -> Stage:
        """Whose queues it consumes."""
        ...

    def load(self, claim: Claim) -> J:
        """Fetches what `handle` needs; runs on the fetch thread.

        Raises `BlobMissing`, or `Transient` to be called again later. Any other error ends this attempt only.
        """
        ...

    def handle(self, jobs: Sequence[J]) -> list[Result]:
        """One result for each job, in order; runs on a work thread, at most `max_batch` jobs.

        An error (`EngineFault` or any other) makes the worker halve the batch until the guilty job is alone.
        `DecoderCrashed` counts towards the conviction of the one job. `Unrecoverable` ends the process.
        """
        ...

    def settled(self, jobs: Sequence[J]) -> None:
        """Their results are durable and their messages acknowledged: clean up. Errors are logged and ignored."""
        ...

    def close(self) -> None:
        """Called once, after the last `handle`."""
        ...


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """How one worker runs. Times are `timedelta`; see the settings for what users write."""

    owner: str  #: the worker's name; the same name after a restart, so that it frees what it held
    lanes: int = 1  #: threads that call `handle`
    max_batch: int = 1
    batch: Callable[[], int] | None = None  #: how many are worth handling together now, at most `max_batch`
    max_wait: timedelta = timedelta()  #: how long a first job may wait for others; 0: take what is ready
    prefetch: int = 4  #: messages held beyond those being handled
    isolates: bool = False  #: the stage runs each job in a process of its own: crashes elsewhere say nothing about it
    lease: timedelta = timedelta(seconds=60)
    poll: timedelta = timedelta(seconds=1)
    drain: timedelta = timedelta(seconds=20)  #: how long a stopping worker may take to finish
    max_attempts: int = 5  #: failed attempts before a message goes to the dead letters
    last_attempt: int = 10  #: failed attempts before the image ends as `failed`
    tell: Tell = told_nobody  #: of dead letters


@dataclass(slots=True)
class Held(Generic[J]):
    """A message in this worker's hands, from its claim until it is settled."""

    delivery: Delivery
    claim: Claim
    job: J | None = None
    traced: Unfinished | None = None  #: of an image that is recorded
