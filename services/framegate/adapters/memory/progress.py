"""Progress in memory."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import assert_never
from uuid import uuid4

from framegate.adapters.memory.state import TAKES, ImageRow, Lease, MemoryState
from framegate.kernel.incidents import RaisedAlert
from framegate.kernel.inspection import Failed, FirstLook, ImageFacts, Inspected, Outcome, Prepared, Refused
from framegate.kernel.messages import Message
from framegate.kernel.states import ImageState, Stage
from framegate.ports.progress import (
    Claim,
    Completion,
    Denied,
    Ending,
    LookAgain,
    PrepareAgain,
    Result,
    check_completion,
)


class MemoryProgress:
    """`Progress`. Safe for use from several threads."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    def claim(self, stage: Stage, messages: Sequence[Message], owner: str, lease: timedelta) -> list[Claim | Denied]:
        """The second message about one image in the same call is BUSY."""
        with self._state.lock:
            return [self._claim(stage, message, owner, lease) for message in messages]

    def _claim(self, stage: Stage, message: Message, owner: str, lease: timedelta) -> Claim | Denied:
        row = self._state.images.get(message.image_id)
        if row is None or row.facts.facility != message.facility:
            return Denied.UNKNOWN
        if row.look != message.look or row.state is not TAKES.get(stage):
            return Denied.STALE
        if row.lease is not None:
            if row.lease.until > self._state.clock.monotonic():
                return Denied.BUSY
            self._take_over(row, row.lease)
        row.attempts += 1
        row.attempts_ever += 1
        row.lease = Lease(uuid4(), stage, owner, row.solo, self._state.until(lease))
        row.moved_at = self._state.clock.monotonic()
        return Claim(
            token=row.lease.token,
            stage=stage,
            message=message,
            image=self._facts(row, stage),
            attempt=row.attempts,
            crashes=row.crashes,
            solo=row.solo,
            prepared=row.prepared,
            finding=row.finding,
            claimed_at=self._state.now(),
            timeline=dict(row.timeline),
            first=row.first,
        )

    def _facts(self, row: ImageRow, stage: Stage) -> ImageFacts:
        if stage is not Stage.GATE:
            return row.facts
        return replace(row.facts, camera_faults=self._state.faults_of(row.facts.facility, row.facts.camera))

    def _take_over(self, row: ImageRow, dead: Lease) -> None:
        # Only inference shares its process among images: elsewhere a dead worker says nothing about the one it had.
        crashed = dead.solo and dead.stage is Stage.INFERENCE
        row.crashes += crashed
        row.solo = True
        self._note(row, dead, str(Ending.CRASH) if crashed else "expired", "the worker's lease ran out")

    def _note(self, row: ImageRow, lease: Lease, ending: str, cause: str) -> None:
        at = self._state.now().isoformat()
        row.history.append(
            {"stage": str(lease.stage), "at": at, "worker": lease.owner, "ending": ending, "cause": cause}
        )

    def extend(self, claims: Sequence[Claim], lease: timedelta) -> list[Claim]:
        """A lease that ran out and was not taken over counts on."""
        lost: list[Claim] = []
        with self._state.lock:
            for claim in claims:
                row, held = self._held(claim)
                if row is None or held is None:
                    lost.append(claim)
                else:
                    row.lease = Lease(held.token, held.stage, held.owner, held.solo, self._state.until(lease))
        return lost

    def _held(self, claim: Claim) -> tuple[ImageRow | None, Lease | None]:
        row = self._state.images.get(claim.image.image_id)
        if row is None or row.lease is None or row.lease.token != claim.token:
            return row, None
        return row, row.lease

    def complete(self, completions: Sequence[Completion]) -> list[bool]:
        """Raises ValueError, and changes nothing, for a result that the claim's stage cannot have."""
        for completion in completions:
            check_completion(completion)
        with self._state.lock:
            return [self._complete(completion) for completion in completions]

    def _complete(self, completion: Completion) -> bool:
        row, held = self._held(completion.claim)
        if row is None:
            return False
        if held is None:
            return completion.claim.token in row.completed
        row.completed.add(held.token)
        row.lease, row.attempts, row.reissues = None, 0, 0
        row.work_ms[held.stage] = row.work_ms.get(held.stage, 0.0) + completion.work_ms
        self._move(row, held, completion.result)
        if not row.ended:
            self._state.emit(row, completion.trace or completion.claim.message.trace)
        return True

    def _move(self, row: ImageRow, held: Lease, result: Result) -> None:
        match result:
            case Prepared():
                row.prepared, row.state = result, ImageState.PREPARED
                row.timeline["prepared"] = self._state.now()
            case Inspected() | Refused() | Failed():
                row.finding, row.state = result, ImageState.INSPECTED
                row.timeline["inspected"] = self._state.now()
            case PrepareAgain():
                row.look, row.state = row.look + 1, ImageState.RECEIVED
                row.prepared = row.finding = None
                self._note(row, held, "prepare-again", result.reason)
                return
            case LookAgain(region):
                assert isinstance(row.finding, Inspected)  # noqa: S101 (see `check_completion`)
                assert row.prepared is not None  # noqa: S101 (or nothing could have inspected it)
                row.first = FirstLook(row.finding, row.prepared, region)
                row.look, row.state = row.look + 1, ImageState.RECEIVED
                row.prepared = row.finding = None
            case Outcome():
                if result.found is not None:
                    row.finding = result.found
                    row.prepared = row.first.prepared if row.first is not None else row.prepared
                self._state.end(row, result)
                facts, now = row.facts, self._state.now()
                raised = [RaisedAlert(uuid4(), facts.facility, facts.image_id, alert, now) for alert in result.alerts]
                self._state.alerts += raised
            case _:
                assert_never(result)
        if not isinstance(result, Failed):
            # The stage survived it: what happened there says nothing about the next one.
            row.crashes, row.solo = 0, False

    def give_back(self, claims: Sequence[Claim], ending: Ending, cause: str) -> None:
        """Lost claims are left alone."""
        with self._state.lock:
            for claim in claims:
                row, held = self._held(claim)
                if row is not None and held is not None:
                    self._give_back(row, held, ending, cause)

    def _give_back(self, row: ImageRow, held: Lease, ending: Ending, cause: str) -> None:
        row.lease = None
        row.moved_at = self._state.clock.monotonic()
        match ending:
            case Ending.RELEASED | Ending.DEPENDENCY:
                row.attempts -= 1
                row.attempts_ever -= 1
            case Ending.ERROR:
                pass
            case Ending.CRASH:
                row.crashes += 1
                row.solo = True
            case _:
                assert_never(ending)
        if ending is not Ending.RELEASED:
            self._note(row, held, str(ending), cause)

    def recover(self, owner: str) -> int:
        """Leases that ran out by themselves are not counted."""
        now, freed = self._state.clock.monotonic(), 0
        with self._state.lock:
            for row in self._state.images.values():
                held = row.lease
                if held is not None and held.owner == owner and held.until > now:
                    row.lease = Lease(held.token, held.stage, held.owner, held.solo, now)
                    freed += 1
        return freed
