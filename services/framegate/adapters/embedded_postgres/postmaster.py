"""The postmaster as a process and as something that answers."""

import contextlib
import os
import subprocess
import threading
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import LiteralString
from urllib.parse import quote

import psycopg

from framegate.adapters.embedded_postgres.account import Account, binary
from framegate.adapters.embedded_postgres.cluster import USER
from framegate.adapters.embedded_postgres.errors import ClusterUnusable, UnsafeDurability
from framegate.adapters.embedded_postgres.sockets import PORT

DATABASE = "framegate"
_CONNECT_S = 5
_STATEMENT_MS = 30_000
_DURABLE = ("fsync", "synchronous_commit", "full_page_writes")
_SHOW_DURABLE: LiteralString = "SELECT name, setting FROM pg_settings WHERE name = ANY(%s) ORDER BY name"


class Answer(Enum):
    """What a postmaster says to a new connection."""

    READY = auto()
    NOT_YET = auto()
    NOBODY = auto()


@dataclass(frozen=True, slots=True)
class Address:
    """How to reach one cluster."""

    cluster: Path
    socket_dir: Path
    password: str

    @property
    def url(self) -> str:
        """The port is spelt out because libpq would take it from PGPORT."""
        host = quote(str(self.socket_dir), safe="/")
        return f"postgresql://{USER}:{quote(self.password, safe='')}@/{DATABASE}?host={host}&port={PORT}"

    def connect(self, database: str) -> psycopg.Connection:
        """Autocommit, with every wait bounded."""
        return psycopg.connect(
            host=str(self.socket_dir),
            port=PORT,
            user=USER,
            password=self.password,
            dbname=database,
            connect_timeout=_CONNECT_S,
            options=f"-c statement_timeout={_STATEMENT_MS}",
            autocommit=True,
        )


def ask(address: Address) -> Answer:
    """One attempt; makes the database if a crash came before. Raises `ClusterUnusable` for a wrong password."""
    try:
        with address.connect("postgres") as connection:
            served = connection.execute("SELECT current_setting('data_directory')").fetchone()
            if served is None or Path(served[0]) != address.cluster:
                return Answer.NOBODY
            if not connection.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE]).rowcount:
                with contextlib.suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                    connection.execute(f"CREATE DATABASE {DATABASE}")
        return Answer.READY
    except psycopg.OperationalError as error:
        return _meaning(str(error))


def _meaning(message: str) -> Answer:
    """Failed connections carry no SQLSTATE; the words are stable because lc_messages is C."""
    if "password authentication failed" in message:
        raise ClusterUnusable(
            "the database refuses the password in framegate.password: restore the file, or the role's password"
        )
    if "too many clients" in message or "connection slots" in message:
        return Answer.READY
    return Answer.NOT_YET if "the database system is" in message else Answer.NOBODY


def assert_durable(address: Address) -> None:
    """Raises `UnsafeDurability` when a crash of the machine could lose a commit of this role in this database."""
    with address.connect(DATABASE) as connection:
        settings = connection.execute(_SHOW_DURABLE, [list(_DURABLE)]).fetchall()
    if unsafe := tuple(name for name, value in settings if value == "off"):
        raise UnsafeDurability(unsafe)


def read_pid_file(cluster: Path) -> tuple[int, Path] | None:
    """Process id and socket directory, or None while there is none or it is being written."""
    try:
        lines = (cluster / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return None
    if len(lines) < 5 or not lines[0].isdigit() or not lines[4]:
        return None
    return int(lines[0]), Path(lines[4])


def is_alive(pid: int) -> bool:
    """A zombie is dead, although signals still reach it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] != b"Z"
    except FileNotFoundError:
        return not Path("/proc/self").exists()


class Child(threading.Thread):
    """A postmaster of ours, and the thread that forked it.

    The kernel sends PR_SET_PDEATHSIG when the *thread* that forked ends, so this one stays for as long as the child
    lives; it reaps it at once, because Postgres takes a zombie's lock file for a live server's.
    """

    def __init__(self, account: Account, cluster: Path, log: Path) -> None:
        super().__init__(name="postmaster", daemon=True)
        self._account = account
        self._cluster = cluster
        self._log = log
        self._spawned = threading.Event()
        self._error: OSError | None = None
        self.start()
        self._spawned.wait()
        if self._error is not None:
            raise self._error

    def run(self) -> None:
        """The thread's body."""
        try:
            self._log.touch(mode=0o600)
            with self._log.open("wb") as log:
                process = self._account.spawn([binary("postgres"), "-D", str(self._cluster)], log)
        except OSError as error:
            self._error = error
            return
        finally:
            self._spawned.set()
        process.wait()


def start_detached(account: Account, data_dir: Path, cluster: Path, log: Path, timeout_s: float) -> bool:
    """A postmaster that outlives this process, for commands that share it. Names are relative: pg_ctl uses a shell."""
    log.unlink(missing_ok=True)
    names = ["-D", str(cluster.relative_to(data_dir)), "-l", str(log.relative_to(data_dir))]
    wait = ["-w", "-t", str(max(1, int(timeout_s)))]
    try:
        done = account.run([binary("pg_ctl"), "start", *names, *wait], timeout_s=timeout_s + 10, cwd=data_dir)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def shut_down(account: Account, cluster: Path, mode: str, timeout_s: float) -> bool:
    """Whether the postmaster is gone in time. The caller has made sure that the pid file is not stale."""
    command = [binary("pg_ctl"), "stop", "-D", str(cluster), "-m", mode, "-w", "-t", str(max(1, int(timeout_s)))]
    try:
        return account.run(command, timeout_s=timeout_s + 10).returncode == 0
    except subprocess.TimeoutExpired:
        return False
