"""LISTEN and NOTIFY: what makes a waiting receive look again at once."""

import os
import select
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from hashlib import blake2b
from typing import Final

from psycopg import Error, sql

from framegate.adapters.postgres.database import Database, Raw
from framegate.kernel.errors import DependencyUnavailable

_LONGEST_NAME: Final = 63


def channel_of(queue: str) -> str:
    """Postgres cuts identifiers at 63 bytes, so a long name becomes a digest."""
    name = f"framegate:{queue}"
    if len(name.encode()) <= _LONGEST_NAME:
        return name
    return f"framegate:{blake2b(queue.encode(), digest_size=20).hexdigest()}"


def notify(connection: Raw, queues: Iterable[str]) -> None:
    """Wakes who waits for these queues. Call it after the commit, in autocommit mode.

    Inside the transaction NOTIFY would hold a lock of the whole database until the commit is on the disk, so that
    transactions could no longer share a flush. A wake-up that is lost costs a second: receivers look by themselves.
    """
    channels = [channel_of(queue) for queue in sorted(set(queues))]
    if channels:
        with suppress(Error):
            connection.execute("select pg_notify(c, '') from unnest(%s::text[]) as c", [channels])


class Wakeups:
    """One connection that listens, and a pipe by which another thread of this process can end the wait."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: Raw | None = None
        self._heard: set[str] = set()
        self._turn = threading.Lock()
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        self._closed = False

    def wake(self) -> None:
        """Ends the wait of this process's receivers."""
        with suppress(OSError):  # a full pipe wakes just as well
            os.write(self._write, b"!")

    def listen(self, queues: Sequence[str]) -> bool:
        """Whether anything sent from now on will wake `wait`; call it before the last look into the queue."""
        channels = {channel_of(queue) for queue in queues}
        with self._turn:
            if self._closed or (self._connection is not None and channels <= self._heard):
                return self._connection is not None
            try:
                self._connection = self._connection or self._database.dedicated()
                for channel in sorted(channels - self._heard):
                    self._connection.execute(sql.SQL("listen {}").format(sql.Identifier(channel)), prepare=False)
            except (Error, DependencyUnavailable):
                self._drop()
                return False
            self._heard |= channels
            return True

    def wait(self, timeout_s: float) -> None:
        """Blocks until something was sent to a queue that is listened to, `wake`, or the timeout; may return early."""
        if not self._turn.acquire(timeout=timeout_s):
            return
        try:
            connection = self._connection
            files = [self._read] if connection is None else [self._read, connection.fileno()]
            readable, _, _ = select.select(files, [], [], timeout_s)
            if self._read in readable:
                os.read(self._read, 4096)
            if connection is not None and connection.fileno() in readable:
                self._take_in(connection)
        except (OSError, Error):
            self._drop()
        finally:
            self._turn.release()

    def _take_in(self, connection: Raw) -> None:
        connection.pgconn.consume_input()
        while connection.pgconn.notifies() is not None:
            pass

    def _drop(self) -> None:
        if self._connection is not None:
            with suppress(Error):
                self._connection.close()
        self._connection = None
        self._heard.clear()

    def close(self) -> None:
        """Ends a wait and frees the connection."""
        if self._closed:
            return
        self._closed = True
        self.wake()
        with self._turn:
            self._drop()
            os.close(self._read)
            os.close(self._write)
