"""The life cycle: one box owns the database of a data directory, commands share it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from framegate.adapters.embedded_postgres.account import Account, choose_account
from framegate.adapters.embedded_postgres.cluster import ensure_cluster, read_password, write_config
from framegate.adapters.embedded_postgres.errors import (
    BoxAlreadyRunning,
    DataDirectoryBusy,
    PostgresDidNotStart,
    PostgresDidNotStop,
    PostgresNotRunning,
)
from framegate.adapters.embedded_postgres.locks import FileLock, exclusive
from framegate.adapters.embedded_postgres.postmaster import (
    Address,
    Answer,
    Child,
    ask,
    assert_durable,
    is_alive,
    read_pid_file,
    shut_down,
    start_detached,
)
from framegate.adapters.embedded_postgres.sockets import (
    discard_socket_directory,
    private_directory,
    socket_directory,
)
from framegate.observability.logs import get_log

_log = get_log(component="postgres")

_START_S = 30.0
_LEAST_S = 2.0
_STOP_S = 20.0
_IMMEDIATE_S = 10.0
_LOCK_S = 60.0
_POLL_S = 0.05
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0
_NOT_YET_S = 10.0
_NOBODY_S = 1.0


def _note(text: str) -> None:
    _log.info("waiting", action="database_awaited", detail=text)


class EmbeddedPostgres:
    """The Postgres of one data directory: cluster in `postgres`, socket, locks and logs in `run`.

    Locks between processes make every method safe beside other processes; within a process, one thread at a time.
    """

    def __init__(self, data_dir: Path, account: Account | None = None) -> None:
        """Touches nothing; `account` is for those who know better whom Postgres should run as."""
        self._data_dir = data_dir.resolve()
        self._cluster = self._data_dir / "postgres"
        self._run_dir = self._data_dir / "run"
        self._account = account
        self._child: Child | None = None
        self._pid: int | None = None
        self._url: str | None = None

    @property
    def url(self) -> str:
        """What DATABASE_URL should be; raises `PostgresNotRunning` before a start."""
        if self._url is None:
            raise PostgresNotRunning
        return self._url

    def start(self, timeout_s: float = _START_S) -> str:
        """Blocks until it answers and returns its URL; the first time ever it also runs initdb. Idempotent."""
        self._prepare()
        with self._transition():
            return self._bring_up(timeout_s, detached=False)

    def ensure_running(self) -> bool:
        """Cheap while it lives; otherwise starts it again, blocking up to 30 s, and returns True."""
        if self._pid is None:
            raise PostgresNotRunning
        if is_alive(self._pid):
            return False
        _log.warning("the database died and is started again", action="database_died", pid=self._pid)
        self.start()
        return True

    def stop(self, timeout_s: float = _STOP_S) -> None:
        """Rolls open transactions back and stops; after `timeout_s` it insists (recovery at the next start)."""
        if self._run_dir.is_dir():
            self._prepare()
            with self._transition():
                self._shut_down(timeout_s)

    def attach(self) -> str | None:
        """The URL if a live Postgres serves this directory, whoever started it. Waits while one starts or stops."""
        began = time.monotonic()
        while True:
            answer = self._ask()
            if answer is Answer.READY:
                return self._url
            patience_s = _NOT_YET_S if answer is Answer.NOT_YET else _NOBODY_S
            if answer is None or time.monotonic() - began > patience_s:
                return None
            time.sleep(_POLL_S)

    @contextmanager
    def owned(self) -> Iterator[str]:
        """For the box: the URL of a database that stops with the block. Raises `BoxAlreadyRunning`."""
        self._prepare()
        box = FileLock(self._run_dir / "box.lock")
        try:
            if not box.try_acquire():
                raise BoxAlreadyRunning(self._data_dir, box.read_pid())
            box.write_pid()
            users = FileLock(self._run_dir / "users.lock")
            try:
                yield self._join(users, _note, detached=False)
            finally:
                self.stop()
                users.close()
        finally:
            box.close()

    @contextmanager
    def shared(self, notify: Callable[[str], None] = _note) -> Iterator[str]:
        """For commands: the box's database, or one that the last command to leave stops. Waits up to 60 s to start."""
        self._prepare()
        users = FileLock(self._run_dir / "users.lock")
        try:
            yield self._join(users, notify, detached=True)
        finally:
            try:
                with self._transition():
                    if users.try_acquire():
                        self._shut_down(_STOP_S)
            finally:
                users.close()

    def _join(self, users: FileLock, notify: Callable[[str], None], *, detached: bool) -> str:
        deadline = time.monotonic() + _START_S
        while True:
            with self._transition(notify):
                if users.try_acquire():
                    users.try_acquire(shared=True)
                    return self._bring_up(_START_S, detached=detached)
                # Somebody uses it, so it runs, perhaps in a container whose processes are invisible from here:
                # a second Postgres on the same files would destroy them. The box restarts a dead one by itself.
                users.try_acquire(shared=True)
                if url := self.attach():
                    return self._checked(url)
                users.release()
            if time.monotonic() > deadline:
                raise DataDirectoryBusy(
                    f"another process uses {self._data_dir}, but its database does not answer from here: "
                    "wait until that process ends, or run this in the same container"
                )
            time.sleep(_FIRST_PAUSE_S)

    @contextmanager
    def _transition(self, notify: Callable[[str], None] = _note) -> Iterator[None]:
        with exclusive(self._run_dir / "transition.lock", _LOCK_S, notify):
            yield

    def _prepare(self) -> Account:
        self._data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._account is None:
            self._account = choose_account(self._data_dir, self._cluster)
        private_directory(self._run_dir, self._account)
        return self._account

    def _bring_up(self, timeout_s: float, *, detached: bool) -> str:
        account = self._prepare()
        ensure_cluster(self._data_dir, self._cluster, account)
        deadline = time.monotonic() + timeout_s
        pause_s = _FIRST_PAUSE_S
        while True:
            # First of all: one may live already, started by a command or left behind by a box that was killed.
            if url := self.attach():
                return self._checked(url)
            if not self._launch(account, deadline, detached=detached):
                if time.monotonic() > deadline:
                    raise PostgresDidNotStart(self._why())
                # Usually "postmaster.pid already exists", while the kernel still shows the dead one. The file is
                # never deleted here: Postgres itself knows when that is safe.
                time.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _launch(self, account: Account, deadline: float, *, detached: bool) -> bool:
        socket_dir = socket_directory(self._run_dir, account)
        write_config(self._cluster, socket_dir, self._run_dir, account)
        address = Address(self._cluster, socket_dir, read_password(self._cluster))
        remaining_s = max(_LEAST_S, deadline - time.monotonic())
        if detached:
            return start_detached(account, self._data_dir, self._cluster, self._start_log, remaining_s)
        if self._child is None or not self._child.is_alive():
            self._child = Child(account, self._cluster, self._start_log)
        deadline = time.monotonic() + remaining_s
        while self._child.is_alive() and time.monotonic() < deadline:
            if ask(address) is Answer.READY:
                return True
            time.sleep(_POLL_S)
        return False

    def _checked(self, url: str) -> str:
        found = self._address()
        if found is not None:
            try:
                assert_durable(found[1])
            except Exception:
                if self._child is not None:
                    self._shut_down(_STOP_S)
                raise
        return url

    def _shut_down(self, timeout_s: float) -> None:
        account = self._prepare()
        ours = self._child is not None and self._child.is_alive()
        # pg_ctl signals whatever process has the number in the pid file: ask before, lest it be a stranger.
        if ours or self._ask() in (Answer.READY, Answer.NOT_YET):
            stopped = shut_down(account, self._cluster, "fast", timeout_s)
            if not stopped and not shut_down(account, self._cluster, "immediate", _IMMEDIATE_S):
                raise PostgresDidNotStop
        if self._child is not None:
            self._child.join(_IMMEDIATE_S)
        discard_socket_directory(self._run_dir)
        self._child = self._pid = self._url = None

    def _ask(self) -> Answer | None:
        """None when there is no live process to ask."""
        found = self._address()
        if found is None:
            return None
        pid, address = found
        answer = ask(address)
        if answer is Answer.READY:
            self._pid, self._url = pid, address.url
        return answer

    def _address(self) -> tuple[int, Address] | None:
        entry = read_pid_file(self._cluster)
        if entry is None or not is_alive(entry[0]):
            return None
        return entry[0], Address(self._cluster, entry[1], read_password(self._cluster))

    @property
    def _start_log(self) -> Path:
        return self._run_dir / "postgres-start.log"

    def _why(self) -> str:
        log = self._start_log
        tail = log.read_text(errors="replace").strip()[-600:] if log.exists() else "it said nothing"
        return (
            f"Postgres did not start in {self._data_dir}; see {self._run_dir}. If it names another process in "
            f"postmaster.pid and that one is not Postgres, end it or remove the file. Its last words: {tail}"
        )


@contextmanager
def database_of(data_dir: Path, notify: Callable[[str], None] = _note) -> Iterator[str]:
    """The URL of the box's database for one command, with the box up or down; `notify` hears about a long wait."""
    with EmbeddedPostgres(data_dir).shared(notify) as url:
        yield url
