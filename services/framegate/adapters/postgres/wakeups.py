"""LISTEN and NOTIFY: what makes a waiting receive look again at once."""

import select
import socket
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


def wake(database: Database, queues: Iterable[str | None]) -> None:
    """`notify` on a connection of its own; what was committed stays committed when this fails."""
    named = {queue for queue in queues if queue is not None}
    if named:
        with suppress(DependencyUnavailable):
            database.run(lambda connection: notify(connection, named))


class Wakeups:
    """One connection that listens, and a pipe by which another thread of this process can end the wait.

    Meant for one waiting thread; further ones wait too, but may learn of a message up to a second late.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: Raw | None = None
        self._heard: set[str] = set()
        self._turn = threading.Lock()
        # Sockets and not a bare pipe: once closed they refuse, where a number might be somebody else's file by then.
        self._read, self._write = socket.socketpair()
        self._read.setblocking(False)
        self._write.setblocking(False)
        self._closed = False

    def interrupt(self) -> None:
        """Ends the wait, if there is one."""
        with suppress(OSError):  # full wakes just as well
            self._write.send(b"!")

    def listen(self, queues: Sequence[str]) -> bool:
        """Whether anything sent from now on will wake `wait`; call it before the last look into the queue."""
        if not self._turn.acquire(blocking=False):
            return False
        try:
            if self._closed:
                return False
            self._connection = self._connection or self._database.dedicated()
            for channel in sorted({channel_of(queue) for queue in queues} - self._heard):
                self._connection.execute(sql.SQL("listen {}").format(sql.Identifier(channel)), prepare=False)
                self._heard.add(channel)
            return True
        except (Error, DependencyUnavailable):
            self._drop()
            return False
        finally:
            self._turn.release()

    def wait(self, timeout_s: float) -> None:
        """Blocks until something was sent to a queue that is listened to, `interrupt`, or the timeout; may return early."""
        if not self._turn.acquire(timeout=timeout_s):
            return
        try:
            if self._closed:
                return
            connection = self._connection
            files = [self._read.fileno()] if connection is None else [self._read.fileno(), connection.fileno()]
            readable, _, _ = select.select(files, [], [], timeout_s)
            if self._read.fileno() in readable:
                self._read.recv(4096)
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
        self.interrupt()
        with self._turn:
            self._drop()
            self._read.close()
            self._write.close()
