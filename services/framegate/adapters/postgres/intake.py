"""Recording uploads: one statement, one transaction."""

from collections.abc import Hashable, Iterator, Sequence
from typing import Any

from framegate.adapters.postgres.database import Database, Raw
from framegate.adapters.postgres.outgoing import Outgoing, QueueTable, Row
from framegate.adapters.postgres.rows import as_json, outgoing
from framegate.adapters.postgres.statements import statement
from framegate.kernel.ids import ImageId
from framegate.kernel.messages import FrameSubmitted, encode
from framegate.kernel.states import ImageState, Verdict
from framegate.ports.store import Accepted, NewImage

_Numbered = tuple[int, NewImage]


class PostgresIntake:
    """`Intake`. Safe for use from several threads."""

    def __init__(self, database: Database, outgoing: Outgoing | None = None) -> None:
        """Without `outgoing`, the queue is in the same database."""
        self._database, self._outgoing = database, outgoing or QueueTable(database)

    def accept(self, images: Sequence[NewImage]) -> list[Accepted]:
        """A known image id is replayed as well, so the same call may be made again after a lost connection.

        Images of one call that have the same key or the same bytes are recorded one after the other.
        """
        waves = list(_waves(images))
        if not waves:
            return []
        # One statement is a transaction by itself and saves two round trips.
        run = self._database.run if len(waves) == 1 else self._database.transaction
        rows = run(lambda connection: self._accept(connection, waves))
        self._outgoing.committed(
            Row(row[7], row[6], encode(_message(images[row[0]]))) for row in rows if row[6] is not None
        )
        answers = {row[0]: _accepted(row) for row in rows}
        return [answers[n] for n in range(len(images))]

    def _accept(self, connection: Raw, waves: Sequence[Sequence[_Numbered]]) -> list[Any]:
        rows: list[Any] = []
        for wave in waves:
            parameters = {"images": as_json([_row(n, image) for n, image in wave])}
            rows += connection.execute(statement("intake_accept", self._outgoing.table), parameters).fetchall()
        return rows


def _waves(images: Sequence[NewImage]) -> Iterator[list[_Numbered]]:
    """Splits a batch so that within each part no image can be judged by another one."""
    rest: list[_Numbered] = list(enumerate(images))
    while rest:
        taken: set[Hashable] = set()
        wave: list[_Numbered] = []
        later: list[_Numbered] = []
        for n, image in rest:
            marks = _marks(image)
            (later if marks & taken else wave).append((n, image))
            # Also of those put off: what resembles them comes after them.
            taken |= marks
        yield wave
        rest = later


def _marks(image: NewImage) -> set[Hashable]:
    marks: set[Hashable] = {("bytes", image.facility, image.sha256), ("id", image.facility, image.image_id)}
    if image.idempotency_key is not None:
        marks.add(("key", image.facility, image.key_id, image.idempotency_key))
    return marks


def _row(n: int, image: NewImage) -> dict[str, Any]:
    return {
        "n": n,
        "facility": image.facility,
        "image": str(image.image_id),
        "camera": image.camera,
        "lane": image.lane,
        "blob_key": image.blob_key,
        "media_type": image.media_type,
        "sha256": image.sha256,
        "size_bytes": image.size_bytes,
        "width": image.width,
        "height": image.height,
        "orientation": image.orientation,
        "flags": image.flags,
        "captured_at": None if image.captured_at is None else image.captured_at.isoformat(),
        "metadata": dict(image.metadata),
        "key_id": image.key_id,
        "idempotency_key": image.idempotency_key,
        "request_hash": image.request_hash,
        "trace": image.trace or None,
    } | outgoing(_message(image))


def _message(image: NewImage) -> FrameSubmitted:
    return FrameSubmitted(image.facility, image.image_id, 1, image.lane, image.trace)


def _accepted(row: Sequence[Any]) -> Accepted:
    _, image_id, state, duplicate_of, replayed, conflict, _, _, verdict = row
    first = None if duplicate_of is None else ImageId(duplicate_of)
    copied = None if verdict is None else Verdict(verdict)
    return Accepted(ImageId(image_id), ImageState(state), first, replayed, conflict, copied)
