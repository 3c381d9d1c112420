"""The narrow door: claims fenced by tokens, and completions that are one statement each."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any, assert_never

from framegate.adapters.postgres.database import Database, Raw
from framegate.adapters.postgres.incidents import ALERTS
from framegate.adapters.postgres.outgoing import Outgoing, QueueTable, Row
from framegate.adapters.postgres.rows import (
    MESSAGE_FOR,
    TAKES,
    as_json,
    detections_to_row,
    finding_from_row,
    finding_to_row,
    first_look_from_row,
    looks_to_row,
    outgoing,
    storable,
)
from framegate.adapters.postgres.statements import statement
from framegate.adapters.postgres.wakeups import wake
from framegate.kernel.ids import CameraId, FacilityId, ImageId
from framegate.kernel.inspection import Failed, ImageFacts, Inspected, Outcome, Prepared, Refused
from framegate.kernel.messages import Message
from framegate.kernel.reviews import SAMPLE_WEIGHT, Origin, item_of
from framegate.kernel.states import CameraStatus, ImageState, Lane, Stage
from framegate.ports.progress import (
    Claim,
    Completion,
    Denied,
    Ending,
    LookAgain,
    PrepareAgain,
    check_completion,
)

_Key = tuple[FacilityId, ImageId]


class PostgresProgress:
    """`Progress`. Safe for use from several threads."""

    def __init__(self, database: Database, outgoing: Outgoing | None = None, sample: float = 0.0) -> None:
        """Without `outgoing`, the queue is in the same database. `sample`: share of passes that people check blindly."""
        self._database, self._outgoing, self._sample = database, outgoing or QueueTable(database), sample

    def claim(self, stage: Stage, messages: Sequence[Message], owner: str, lease: timedelta) -> list[Claim | Denied]:
        """One round trip when all are granted, two otherwise."""
        if not messages or stage not in TAKES:
            return [Denied.STALE] * len(messages)
        first: dict[tuple[FacilityId, ImageId, int], int] = {}
        for n, message in enumerate(messages):
            first.setdefault((message.facility, message.image_id, message.look), n)
        asked = [_asked(messages[n], n) for n in first.values()]
        parameters = {
            "messages": as_json(asked),
            "stage": stage,
            "state": TAKES[stage],
            "owner": owner,
            "lease": lease.total_seconds(),
        }
        rows = self._database.run(lambda c: c.execute(statement("progress_claim"), parameters).fetchall())
        granted = {(row[0], row[1]): row for row in rows}
        answers: dict[int, Claim | Denied] = {}
        for n in first.values():
            row = granted.get((messages[n].facility, messages[n].image_id))
            if row is not None:
                answers[n] = _claim(stage, messages[n], row)
        if len(answers) < len(asked):
            denied = [entry for entry in asked if entry["n"] not in answers]
            answers |= self._why_denied(denied, TAKES[stage])
        return [_answer(answers, first[m.facility, m.image_id, m.look], n) for n, m in enumerate(messages)]

    def _why_denied(self, asked: Sequence[dict[str, Any]], state: ImageState) -> dict[int, Denied]:
        parameters = {"messages": as_json(asked), "state": state}
        rows = self._database.run(lambda c: c.execute(statement("progress_denied"), parameters).fetchall())
        return {n: Denied(why) for n, why in rows}

    def extend(self, claims: Sequence[Claim], lease: timedelta) -> list[Claim]:
        """A lease that ran out and was not taken over counts on."""
        if not claims:
            return []
        parameters = _holds(claims) | {"lease": lease.total_seconds()}
        rows = self._database.run(lambda c: c.execute(statement("progress_extend"), parameters).fetchall())
        held = {row[0] for row in rows}
        return [claim for claim in claims if claim.token not in held]

    def complete(self, completions: Sequence[Completion]) -> list[bool]:
        """Raises ValueError, and changes nothing, for a result that the claim's stage cannot have."""
        advancing: list[dict[str, Any]] = []
        ending: list[dict[str, Any]] = []
        for n, completion in enumerate(completions):
            check_completion(completion)
            row = _identity(n, completion.claim) | {"work_ms": completion.work_ms} | _columns(completion)
            row |= self._item(completion)
            (ending if isinstance(completion.result, Outcome) else advancing).append(row)
        batches = [(name, rows) for name, rows in (("progress_advance", advancing), ("progress_end", ending)) if rows]
        # One statement is a transaction by itself and saves two round trips.
        run = self._database.run if len(batches) == 1 else self._database.transaction
        rows = run(lambda c: self._execute(c, batches)) if batches else []
        done = {row[0] for row in rows}
        self._outgoing.committed(Row(*row[1:]) for row in rows if len(row) > 1 and row[1] is not None)
        if any(isinstance(c.result, Outcome) and c.result.alerts for c in completions):
            wake(self._database, [ALERTS])
        missed = [_identity(n, c.claim) for n, c in enumerate(completions) if n not in done]
        repeated = self._repeated(missed) if missed else set()
        return [n in done or n in repeated for n in range(len(completions))]

    def _item(self, completion: Completion) -> dict[str, Any]:
        result = completion.result
        origin = item_of(completion.claim.image.image_id, result, self._sample) if isinstance(result, Outcome) else None
        if origin is None or not isinstance(result, Outcome):
            return {}
        return {"item": origin, "weight": SAMPLE_WEIGHT if origin is Origin.SAMPLE else result.weight}

    def _execute(self, connection: Raw, batches: Sequence[tuple[str, list[dict[str, Any]]]]) -> list[Any]:
        found: list[Any] = []
        for name, rows in batches:
            query = statement(name, self._outgoing.table)
            found += connection.execute(query, {"completions": as_json(rows)}).fetchall()
        return found

    def _repeated(self, completions: Sequence[dict[str, Any]]) -> set[int]:
        parameters = {"completions": as_json(completions)}
        rows = self._database.run(lambda c: c.execute(statement("progress_repeated"), parameters).fetchall())
        return {row[0] for row in rows}

    def give_back(self, claims: Sequence[Claim], ending: Ending, cause: str) -> None:
        """Lost claims are left alone."""
        if not claims:
            return
        parameters = _holds(claims) | {
            "refund": int(ending in (Ending.RELEASED, Ending.DEPENDENCY)),
            "crash": int(ending is Ending.CRASH),
            "noted": ending is not Ending.RELEASED,
            "ending": ending,
            "cause": storable(cause),
        }
        self._database.run(lambda c: c.execute(statement("progress_give_back"), parameters))

    def recover(self, owner: str) -> int:
        """Leases that ran out by themselves are not counted."""
        return self._database.run(lambda c: c.execute(statement("progress_recover"), {"owner": owner}).rowcount)


def _answer(answers: dict[int, Claim | Denied], first: int, n: int) -> Claim | Denied:
    answer = answers[first]
    return Denied.BUSY if n != first and isinstance(answer, Claim) else answer


def _asked(message: Message, n: int) -> dict[str, Any]:
    return {"n": n, "facility": message.facility, "image": str(message.image_id), "look": message.look}


def _identity(n: int, claim: Claim) -> dict[str, Any]:
    image = claim.image
    return {"n": n, "facility": image.facility, "image": str(image.image_id), "token": str(claim.token)}


def _holds(claims: Sequence[Claim]) -> dict[str, Any]:
    # In one order for everybody, so that two such updates do not wait for each other.
    ordered = sorted(claims, key=lambda claim: (claim.image.facility, claim.image.image_id))
    return {
        "facilities": [claim.image.facility for claim in ordered],
        "images": [claim.image.image_id for claim in ordered],
        "tokens": [claim.token for claim in ordered],
    }


def _claim(stage: Stage, message: Message, row: Sequence[Any]) -> Claim:
    facts = ImageFacts(
        FacilityId(row[0]),
        ImageId(row[1]),
        CameraId(row[2]),
        CameraStatus(row[3]),
        Lane(row[4]),
        *(*row[5:14], tuple(row[24] or ())),
    )
    token, attempt, crashes, solo, prepared, finding, detections, now, prepared_at, inspected_at = row[14:24]
    first = row[25]
    moments = {"received": facts.received_at, "prepared": prepared_at, "inspected": inspected_at}
    return Claim(
        token=token,
        stage=stage,
        message=message,
        image=facts,
        attempt=attempt,
        crashes=crashes,
        solo=solo,
        prepared=None if prepared is None else Prepared.from_json(prepared),
        finding=finding_from_row(finding, detections),
        claimed_at=now,
        timeline={name: at for name, at in moments.items() if at is not None},
        first=first_look_from_row(first),
    )


def _columns(completion: Completion) -> dict[str, Any]:
    claim, result = completion.claim, completion.result
    match result:
        case Prepared():
            return _next(completion, ImageState.PREPARED) | {"prepared": result.to_json()}
        case Inspected() | Refused() | Failed():
            return _next(completion, ImageState.INSPECTED) | finding_to_row(result)
        case PrepareAgain(reason):
            return _next(completion, ImageState.RECEIVED, again=True) | {"cause": reason}
        case LookAgain(region):
            return _next(completion, ImageState.RECEIVED, again=True) | {"region": region.to_json()}
        case Outcome():
            return {
                "state": result.state,
                "verdict": result.verdict,
                "reason": result.reason,
                "detail": result.detail,
                "policy_version": result.policy_version,
                "alerts": [asdict(alert) for alert in result.alerts],
                "looks": looks_to_row(result.looks),
                "found": None if result.found is None else finding_to_row(result.found)["finding"],
            } | detections_to_row(result.found or claim.finding)
        case _:
            assert_never(result)


def _next(completion: Completion, state: ImageState, *, again: bool = False) -> dict[str, Any]:
    image, before = completion.claim.image, completion.claim.message
    trace = completion.trace or before.trace
    message = MESSAGE_FOR[state](image.facility, image.image_id, before.look + again, image.lane, trace)
    return {"state": state, "again": again, "convicts": False} | outgoing(message)
