"""Up to which number of a sequence nothing can be committed any more."""

import threading
from typing import Final, LiteralString

from framegate.adapters.postgres.database import Raw

OUTCOMES: Final = "outcomes_sequence_seq"
AUDIT: Final = "audit_sequence_seq"
_LAST: Final = "select coalesce(pg_sequence_last_value(%s::regclass), 0)"
_OURS: Final = "select pg_current_xact_id()::text::bigint"
_OLDEST: Final = "select pg_snapshot_xmin(pg_current_snapshot())::text::bigint"


class Settled:
    """Numbers are taken before the commit, so a lower one may become visible after a higher one, and a reader that goes on
    from the last number it saw would miss it.

    Whoever took a number had a transaction id by then (statements that write outcomes and a trigger of the audit see to
    that). So a mark is set: the last number that was taken, and then an id of our own. When all older transactions are
    over, so are all that took that number or a lower one. The mark is kept until then, so that there is an end to the wait
    however many write. Ids alone do not tell: of two that write at once, the one with the older id may take the higher
    number. Safe for use from several threads.
    """

    def __init__(self, sequence: str) -> None:
        self._sequence = sequence
        self._lock = threading.Lock()
        self._mark: tuple[int, int] | None = None
        self._settled = 0

    def upto(self, connection: Raw) -> int:
        """In autocommit mode: each of the statements must see what is there by then."""
        with self._lock:
            for _ in range(2):  # an old mark first, and then, often at once, a new one
                if self._mark is None:
                    number = _one(connection, _LAST, self._sequence)
                    if number == self._settled:
                        break  # nothing was written, and no id need be spent
                    self._mark = number, _one(connection, _OURS)
                number, ours = self._mark
                if _one(connection, _OLDEST) < ours:
                    break
                self._settled, self._mark = max(self._settled, number), None
            return self._settled


def _one(connection: Raw, query: LiteralString, *parameters: str) -> int:
    row = connection.execute(query, parameters).fetchone()
    assert row is not None  # noqa: S101 (each selects one value)
    return int(row[0])
