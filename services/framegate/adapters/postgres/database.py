"""One pool of connections for everything that is kept in Postgres, and the translation of its errors."""

import random
import select
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from typing import Any, Final, TypeVar

import psycopg
import sqlalchemy
from psycopg import errors
from sqlalchemy.exc import DBAPIError, DisconnectionError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from framegate.kernel.errors import DependencyUnavailable, TooBroad

T = TypeVar("T")
#: A connection straight from psycopg, in autocommit mode: one statement is one transaction and one round trip.
Raw = psycopg.Connection[Any]

CONNECT_TIMEOUT_S: Final = 5
POOL_TIMEOUT_S: Final = 10
_TRIES: Final = 5
# A unique violation is a lost race as well: the winner has committed, and the next try sees its row.
_LOST_RACES: Final = (errors.DeadlockDetected, errors.SerializationFailure, errors.UniqueViolation)
_FIRST_PAUSE_S: Final = 0.02
# The tables that everything moves through are empty one minute and full the next, so their statistics are never right
# and a plan made for an empty table would be kept. Plans here are the same at any size: nested loops over indexes.
_SESSION: Final = """
set timezone = 'UTC';
set statement_timeout = '15s';
set lock_timeout = '10s';
set idle_in_transaction_session_timeout = '30s';
set jit = off;
set enable_seqscan = off;
set enable_hashjoin = off;
set enable_mergejoin = off;
set plan_cache_mode = force_generic_plan
"""
#: Makes the planner free again, and patient, for one transaction that reads many rows.
ANALYTIC: Final = """
set local statement_timeout = '10min';
set local enable_seqscan = on;
set local enable_hashjoin = on;
set local enable_mergejoin = on;
set local plan_cache_mode = force_custom_plan;
set local work_mem = '64MB'
"""
#: The longest that a statement for a page may take.
PAGE_S: Final = 5
#: Reads of history choose their plans by the values that are asked for, and its statistics are right enough for that.
#: Scanning a whole table stays out of the question. One statement, so that it is one round trip.
_PAGE: Final = f"""
select set_config('statement_timeout', '{PAGE_S}s', true), set_config('transaction_read_only', 'on', true),
  set_config('plan_cache_mode', 'force_custom_plan', true), set_config('enable_mergejoin', 'on', true),
  set_config('enable_hashjoin', 'on', true), set_config('work_mem', '16MB', true)
"""


class Database:
    """Connects lazily. Safe for use from several threads; not for use after a fork. `close` it."""

    def __init__(
        self,
        url: str,
        *,
        application_name: str = "framegate",
        pool_size: int = 8,
        page_timer: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        """`url` as libpq or SQLAlchemy write it (`postgresql://…`); every `page` runs within a `page_timer()`."""
        self._page_timer = page_timer
        self._engine = make_engine(
            url, application_name, pool_size=pool_size, max_overflow=pool_size, pool_timeout=POOL_TIMEOUT_S
        )
        self._transactional = self._engine.execution_options(isolation_level="READ COMMITTED")
        sqlalchemy.event.listen(self._engine, "connect", _prepare_session)

    def run(self, work: Callable[[Raw], T]) -> T:
        """What `work` returns. It may be called again, after a deadlock or a lost race, so it must start from nothing.

        Raises `DependencyUnavailable` when the database does not answer; then the transaction may have been committed.
        """

        def once() -> T:
            with self._borrowed() as connection:
                return work(connection)

        return _persistently(once)

    def transaction(self, work: Callable[[Raw], T]) -> T:
        """Like `run`, for work of several statements that hold together."""

        def together(connection: Raw) -> T:
            with connection.transaction():
                return work(connection)

        return self.run(together)

    def core(self, work: Callable[[sqlalchemy.Connection], T]) -> T:
        """Like `transaction`, for work written with SQLAlchemy Core."""

        def once() -> T:
            with self._transactional.begin() as connection:
                return work(connection)

        return _persistently(once)

    def page(self, work: Callable[[sqlalchemy.Connection], T]) -> T:
        """Like `core`, for what somebody waits for who looks at a page: it only reads, and raises `TooBroad` where a
        statement takes longer than `PAGE_S`, so that nobody holds a connection for minutes.
        """

        def looking(connection: sqlalchemy.Connection) -> T:
            connection.exec_driver_sql(_PAGE)
            return work(connection)

        try:
            with self._page_timer():
                return self.core(looking)
        except DependencyUnavailable as error:
            if error.__cause__ is not None and isinstance(_cause(error.__cause__), errors.QueryCanceled):
                raise TooBroad from error
            raise

    def dedicated(self) -> Raw:
        """A connection of the caller's own, to be closed by the caller."""
        with translated():
            fairy = self._engine.raw_connection()
            connection = _driver(fairy)
            fairy.detach()
            return connection

    def connections(self) -> tuple[int, int]:
        """How many of the pool are in use, and how many wait for it."""
        pool = self._engine.pool
        assert isinstance(pool, sqlalchemy.QueuePool)  # noqa: S101 (the engine's default)
        return pool.checkedout(), pool.checkedin()

    def close(self) -> None:
        """Closes the connections that are not in use; those in use are closed when they are given back."""
        self._engine.dispose()

    @contextmanager
    def _borrowed(self) -> Iterator[Raw]:
        fairy = self._checked_out()
        connection, pool = _driver(fairy), self._engine.pool
        try:
            yield connection
        finally:
            if connection.closed:
                # The others most likely died with it: do not let every thread find out by itself.
                self._engine.dispose()
            if connection.closed or pool is not self._engine.pool:
                fairy.invalidate()
            else:
                fairy.close()

    def _checked_out(self) -> sqlalchemy.PoolProxiedConnection:
        fairy = self._engine.raw_connection()
        if _was_hung_up(_driver(fairy)):
            fairy.invalidate()
            self._engine.dispose()
            fairy = self._engine.raw_connection()
        return fairy


def clock_time(connection: sqlalchemy.Connection) -> datetime:
    """The database's clock at this moment, also within a transaction."""
    now: datetime = connection.execute(sqlalchemy.select(sqlalchemy.func.clock_timestamp())).scalar_one()
    return now


def be_analytic(connection: sqlalchemy.Connection) -> None:
    """`ANALYTIC` for a transaction of SQLAlchemy's."""
    for setting in ANALYTIC.split(";"):
        connection.exec_driver_sql(setting)


def make_engine(url: str, application_name: str, **options: Any) -> sqlalchemy.Engine:
    """A lazy engine over psycopg 3, in autocommit mode."""
    parsed = sqlalchemy.make_url(url.replace("postgres://", "postgresql://", 1) if url.startswith("postgres:") else url)
    return sqlalchemy.create_engine(
        parsed.set(drivername="postgresql+psycopg"),
        isolation_level="AUTOCOMMIT",
        use_native_hstore=False,
        connect_args={
            "application_name": application_name,
            "connect_timeout": CONNECT_TIMEOUT_S,
            "tcp_user_timeout": 10_000,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "prepare_threshold": 0,
        },
        **options,
    )


def _persistently(once: Callable[[], T]) -> T:
    with translated():
        for attempt in range(1, _TRIES):
            try:
                return once()
            except (psycopg.Error, DBAPIError) as error:
                if not isinstance(_cause(error), _LOST_RACES):
                    raise
                time.sleep(random.uniform(0, _FIRST_PAUSE_S * 2**attempt))  # noqa: S311 (spreads load)
        return once()


@contextmanager
def translated() -> Iterator[None]:
    """Turns what the driver and the pool say into `DependencyUnavailable` where waiting may help."""
    try:
        yield
    except (psycopg.Error, SQLAlchemyError) as error:
        cause = _cause(error)
        # Operational: no connection, no space, shutdown, timeouts, too many connections, deadlocks.
        if isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError | PoolTimeout | DisconnectionError):
            raise DependencyUnavailable(f"the database does not answer: {_first_line(cause)}") from error
        raise


def _cause(error: BaseException) -> BaseException | None:
    return error.orig if isinstance(error, DBAPIError) else error


def _first_line(error: BaseException | None) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _driver(fairy: sqlalchemy.PoolProxiedConnection) -> Raw:
    connection = fairy.driver_connection
    assert isinstance(connection, psycopg.Connection)  # noqa: S101 (the engine's driver is psycopg)
    return connection


def _was_hung_up(connection: Raw) -> bool:
    """Whether the server closed an idle connection: cheaper than asking it, and enough after a restart."""
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)
    return bool(poll.poll(0))


def _prepare_session(connection: psycopg.Connection[Any], _: object) -> None:
    # Several commands in one simple query; `prepare=False` because a prepared statement can only be one.
    connection.execute(_SESSION, prepare=False)
