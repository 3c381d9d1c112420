"""What the sweeper and `verify` ask."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from framegate.adapters.postgres.database import ANALYTIC, Database, Raw
from framegate.adapters.postgres.outgoing import Outgoing, QueueTable, Row
from framegate.adapters.postgres.rows import MESSAGE_FOR, as_json, conservation_from_row, outgoing, queue_for
from framegate.adapters.postgres.statements import invariants, statement
from framegate.kernel.ids import FacilityId, ImageId
from framegate.kernel.states import ImageState, Lane
from framegate.ports.upkeep import Check, Conservation, Overdue, StoredOriginal

_EXAMPLES: Final = 10


class PostgresUpkeep:
    """`Upkeep`. Safe for use from several threads and processes."""

    def __init__(self, database: Database, outgoing: Outgoing | None = None) -> None:
        """Without `outgoing`, the queue is in the same database."""
        self._database, self._outgoing = database, outgoing or QueueTable(database)

    def reissue_overdue(
        self, idle: Mapping[ImageState, timedelta], limit: int, ready: Mapping[str, int] | None = None
    ) -> list[Overdue]:
        """Longest idle first; the pause grows up to an hour."""
        looked_at = [
            {"state": state, "lane": lane, "queue": queue_for(state, lane), "idle_s": pause.total_seconds()}
            | ({"ready": ready.get(queue_for(state, lane), 0)} if ready is not None else {})
            for state, pause in idle.items()
            if state in MESSAGE_FOR
            for lane in Lane
        ]

        def work(connection: Raw) -> tuple[list[Overdue], list[Row]]:
            parameters = {"idle": as_json(looked_at), "max": limit}
            connection.execute(ANALYTIC, prepare=False)
            rows = connection.execute(statement("reissue_due"), parameters).fetchall()
            found = [_overdue(row) for row in rows]
            if not found:
                return [], []
            query = statement("reissue", self._outgoing.table)
            sent = connection.execute(query, {"images": as_json([_message(one) for one in found])}).fetchall()
            return found, [Row(*row) for row in sent]

        if not looked_at:
            return []
        overdue, sent = self._database.transaction(work)
        self._outgoing.committed(sent)
        return overdue

    def waiting_s(self) -> Mapping[str, float]:
        """Those that a living worker has claimed do not wait."""
        query = """
            select state, lane, extract(epoch from clock_timestamp() - min(greatest(moved_at, lease_until)))::float8
            from progress where lease_until is null or lease_until <= clock_timestamp() group by state, lane
        """

        def work(connection: Raw) -> list[Any]:
            connection.execute(ANALYTIC, prepare=False)
            return connection.execute(query, prepare=False).fetchall()

        rows = self._database.transaction(work)
        return {queue_for(ImageState(state), Lane(lane)): max(0.0, age) for state, lane, age in rows}

    def in_flight(self) -> int:
        """The rows of progress, which holds nothing else."""

        def work(connection: Raw) -> Any:
            return connection.execute("select count(*) from progress").fetchone()

        (count,) = self._database.run(work)
        return int(count)

    def conservation(self, facility: FacilityId | None = None) -> Conservation:
        """Reads every image: seconds for millions of them."""

        def work(connection: Raw) -> Any:
            connection.execute(ANALYTIC, prepare=False)
            return connection.execute(statement("conservation"), {"facility": facility}).fetchone()

        return conservation_from_row(self._database.transaction(work))

    def take_stock(self) -> Conservation:
        """See the port. As slow as `conservation`."""

        def work(connection: Raw) -> list[Any]:
            connection.execute(ANALYTIC, prepare=False)
            return connection.execute(statement("take_stock")).fetchall()

        rows = self._database.transaction(work)
        return conservation_from_row([sum(column) for column in zip(*rows, strict=True)] or [0] * 9)

    def check_invariants(self) -> list[Check]:
        """Each in a transaction of its own; reads everything."""
        return [self._check(name, meaning, query) for name, meaning, query in invariants()]

    def _check(self, name: str, meaning: str, query: Any) -> Check:
        counted = f"select count(*), (array_agg(id order by id))[1:{_EXAMPLES}] from ({query}) as violation (id)"  # noqa: S608

        def work(connection: Raw) -> Any:
            connection.execute(ANALYTIC, prepare=False)
            return connection.execute(counted, prepare=False).fetchone()

        violations, examples = self._database.transaction(work)
        return Check(name, meaning, violations, tuple(examples or ()))

    def blob_keys(self, after: ImageId | None, limit: int) -> list[StoredOriginal]:
        """In id order."""
        parameters = {"after": after, "max": limit}
        rows = self._database.run(lambda c: c.execute(statement("blob_keys"), parameters).fetchall())
        return [StoredOriginal(ImageId(image), key, sha256, there) for image, key, sha256, there in rows]


def _overdue(row: Any) -> Overdue:
    facility, image, look, lane, state, attempts, reissues, trace = row
    state, lane = ImageState(state), Lane(lane)
    return Overdue(FacilityId(facility), ImageId(image), look, lane, state, attempts, reissues, trace or "")


def _message(one: Overdue) -> dict[str, str]:
    message = MESSAGE_FOR[one.state](one.facility, one.image_id, one.look, one.lane, one.trace)
    return {"facility": one.facility, "image": str(one.image_id)} | outgoing(message)
