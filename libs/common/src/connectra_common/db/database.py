"""The only way to PostgreSQL: the driver's own pools, which hold all connections of a process, apart for each kind of work.

Statements go straight to the driver: every call passes here, and a layer in between took a third of the cost of a small read.
SQLAlchemy is used only to describe the tables (`tables`) and to run migrations.
"""

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import asyncpg
import structlog
from asyncpg.transaction import Transaction

from connectra_common import metrics
from connectra_common.call import current
from connectra_common.refusals import PoolExhausted
from connectra_common.settings import PostgresSettings

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

log = structlog.get_logger()

# From a pool, or on its own.
Connection: TypeAlias = "asyncpg.Connection | PoolConnectionProxy"

CONNECT_TIMEOUT_SECONDS = 5
POOL_TIMEOUT_SECONDS = 5
# If a process freezes or its host disappears during a transaction, its locks are held this long.
IDLE_TRANSACTION_SECONDS = 30
IDLE_CONNECTION_SECONDS = 1800
# One that nobody used for so long may be gone: forgotten by a host between, or closed while this process was frozen.
RESTED_SECONDS = 10
# In which it must say that it is not.
ANSWER_SECONDS = 1
# In which the server must have undone what a call has given up; after that the connection is closed.
UNDO_SECONDS = 2
# The longest statement of what has no deadline.
STATEMENT_SECONDS = 600
# Of the one that no call holds.
OWN_SECONDS = 5
# What the server gives a statement: the next of these after the time that its call has left. They are few, because a connection is told of
# each change, and nearly all calls have the deadline of the gateway.
LIMITS = (1, 2, 5, 10, 30, 60, 120, 300, STATEMENT_SECONDS)
# Whatever the deadline, nobody waits longer than this for what others have locked.
LOCK_SECONDS = 30
# A host that is gone is noticed after IDLE + COUNT * INTERVAL seconds without a word, by both sides.
KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, KEEPALIVE_COUNT = 30, 10, 3
# How soon a statement that runs, or waits for a lock, ends once its client is gone.
GONE_SECONDS = 2
# For a transaction that reads pages in the order of an index. Without statistics, as right after an import, the planner would rather sort
# all that follows, for each page.
IN_ORDER = "SET LOCAL enable_sort = off"


def connect_options(settings: PostgresSettings, process: str) -> dict[str, Any]:
    """Options of `asyncpg.connect` that every connection of a process has."""
    return {
        "ssl": ssl.create_default_context(cafile=settings.ssl_ca_file) if settings.ssl else False,
        "timeout": CONNECT_TIMEOUT_SECONDS,
        "server_settings": {
            "application_name": f"connectra-{process}",
            "jit": "off",
            "TimeZone": "UTC",
            "idle_in_transaction_session_timeout": f"{IDLE_TRANSACTION_SECONDS}s",
            "client_connection_check_interval": f"{GONE_SECONDS}s",
            "tcp_keepalives_idle": str(KEEPALIVE_IDLE),
            "tcp_keepalives_interval": str(KEEPALIVE_INTERVAL),
            "tcp_keepalives_count": str(KEEPALIVE_COUNT),
        },
    }


class Database:
    """The connections of a process, or of one kind of its work, each opened when first needed. All those of a process together are at most
    PG_POOL_SIZE.
    """

    def __init__(self, pool: asyncpg.Pool, limited: bool = False) -> None:
        self._pool = pool
        self._limited = limited
        self._waiting = 0

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        settings: PostgresSettings,
        process: str,
        session: Mapping[str, str] | None = None,
        *,
        work: str = "calls",
        connections: int | None = None,
        limited: bool = False,
        **options: Any,
    ) -> AsyncIterator["Database"]:
        """Closed with the block.

        Args:
            process: its name, which PostgreSQL shows as `connectra-NAME`.
            session: PostgreSQL settings of every connection, in addition to the usual ones.
            work: the kind of work they are for, in metrics.
            connections: how many at most; by default PG_POOL_SIZE.
            limited: the server itself ends a statement whose call has no time left, see LIMITS, so that it changes nothing later even if
                this process hangs. It belongs to a session: not for what may be behind a pooler of transactions.
            options: further arguments of `asyncpg.connect`.
        """
        usual = connect_options(settings, process)
        usual["server_settings"] |= session or {}
        pool = asyncpg.create_pool(
            settings.dsn(),
            min_size=0,
            max_size=connections or settings.pool_size,
            max_inactive_connection_lifetime=IDLE_CONNECTION_SECONDS,
            init=partial(_log_statements, _LOGGERS[settings.debug]) if settings.debug else None,
            reset=_as_it_is,
            connection_class=_Connection,
            **({"command_timeout": STATEMENT_SECONDS} | usual | options),
        )
        async with pool:
            opened = cls(pool, limited)
            with metrics.watched(work, opened._measured()):
                yield opened

    @classmethod
    def own(cls, settings: PostgresSettings, process: str) -> AbstractAsyncContextManager["Database"]:
        """One connection that no call holds, for readiness and short statements of the process: however busy the others are, it tells
        whether the server answers.
        """
        return cls.open(settings, process, work="own", connections=1, command_timeout=OWN_SECONDS)

    def _measured(self) -> metrics.Pool:
        pool = self._pool
        return metrics.Pool(
            idle=pool.get_idle_size,
            used=lambda: pool.get_size() - pool.get_idle_size(),
            waiting=lambda: self._waiting,
            most=pool.get_max_size(),
        )

    @property
    def most(self) -> int:
        """How many connections there are at most."""
        return self._pool.get_max_size()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection on which each statement is a transaction of its own.

        If the block is cancelled, the server is told to end the statement, and the connection is free again once it has.

        Raises:
            PoolExhausted: none becomes free in time.
            OSError: the server cannot be reached.
        """
        connection = await self._acquire()
        try:
            await self._limit(connection)
            yield connection
        except BaseException:
            with suppress(asyncpg.InterfaceError):  # the server ended it, and the pool has let go of it already
                if connection.is_closed() or connection.is_in_transaction():
                    connection.terminate()
            raise
        finally:
            # One whose statement the server does not end in time is closed.
            with suppress(TimeoutError):
                await self._pool.release(connection, timeout=UNDO_SECONDS)

    @asynccontextmanager
    async def transaction(
        self,
        *,
        isolation: Literal["read_committed", "repeatable_read", "serializable"] | None = None,
        readonly: bool = False,
    ) -> AsyncIterator[Connection]:
        """A transaction that commits when the block ends without an exception. Raises as `connection`."""
        async with self.connection() as connection, connection.transaction(isolation=isolation, readonly=readonly):
            yield connection

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Connection]:
        """A connection that ends with the block, and with it what belongs to a session: advisory locks, LISTEN, temporary tables.

        It takes one of the pool's places for as long. Raises as `connection`.
        """
        connection = await self._acquire()
        try:
            await self._limit(connection)
            yield connection
        finally:
            # Ends a statement that was cancelled as well. If the server is gone, so is all that there was.
            with suppress(asyncpg.InterfaceError, asyncpg.PostgresError, OSError):
                await connection.close(timeout=UNDO_SECONDS)
            await self._pool.release(connection)

    @asynccontextmanager
    async def listener(self, channel: str, wake: Callable[[], object]) -> AsyncIterator[Connection]:
        """A session that calls `wake()` for each NOTIFY on the channel."""

        def heard(*_: object) -> None:
            wake()

        async with self.session() as connection:
            await connection.add_listener(channel, heard)
            yield connection

    async def ping(self) -> None:
        """Raises when the database does not answer."""
        async with self.connection() as connection:
            await connection.execute("SELECT 1")

    async def _limit(self, connection: Connection) -> None:
        if self._limited:
            left = current().ends - time.monotonic()
            seconds = next((limit for limit in LIMITS if limit >= left), STATEMENT_SECONDS)
            await cast(_Connection, connection).limit(seconds)

    async def _acquire(self) -> "PoolConnectionProxy":
        self._waiting += 1
        try:
            while True:
                connection = await self._pool.acquire(timeout=POOL_TIMEOUT_SECONDS)
                answers = False
                try:
                    answers = await cast(_Connection, connection).answers()
                finally:
                    if not answers:
                        with suppress(asyncpg.InterfaceError):  # closed, and the pool has let go of it already
                            connection.terminate()
                        await self._pool.release(connection)
                if answers:
                    return connection
                # The other idle connections are likely to be broken too; each is reopened when it is next needed.
                await self._pool.expire_connections()
        except TimeoutError:
            raise PoolExhausted from None
        finally:
            self._waiting -= 1


class _Connection(asyncpg.Connection):
    """One that notices when the other host is gone, and knows how long the server lets its statements run."""

    def __init__(self, protocol: Any, transport: Any, *more: Any) -> None:
        super().__init__(protocol, transport, *more)
        _keep_alive(transport.get_extra_info("socket"))
        self._limit = 0
        self.rest()

    def rest(self) -> None:
        """To be called when it is free again."""
        # Of the calendar: the other clock may stand still with a machine that is frozen.
        self._free_since = time.time()

    async def answers(self) -> bool:
        """Whether it can be used; after a rest, the server is asked."""
        if time.time() - self._free_since < RESTED_SECONDS:
            return True
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self.execute("SELECT 1")
        except (asyncpg.InterfaceError, asyncpg.PostgresError, OSError):  # a TimeoutError is one of these
            return False
        return True

    async def limit(self, seconds: int) -> None:
        """Sets the server's limit of a statement, and a little shorter one of waiting for a lock, so that the caller learns the reason."""
        if seconds != self._limit:
            self._limit = 0
            lock = 900 * min(seconds, LOCK_SECONDS)
            await self.execute(f"SET statement_timeout = '{seconds}s'; SET lock_timeout = '{lock}ms'")
            self._limit = seconds

    async def copy_from_query(self, query: str, *args: Any, **options: Any) -> str:
        """As the driver's, but one that is given up ends with its connection."""
        try:
            return await super().copy_from_query(query, *args, **options)
        except BaseException:
            # A cancellation between the arrival of a piece and its taking is not passed on to the server, and whoever used the connection
            # next would meet the rest.
            self.terminate()
            raise

    def transaction(self, *, isolation: Any = None, readonly: bool = False, deferrable: bool = False) -> Transaction:
        """As the driver's, but undone in bounded time."""
        return _Transaction(self, isolation, readonly, deferrable)


class _Transaction(Transaction):
    """One that ends in UNDO_SECONDS when its block fails, whatever the server does."""

    def __init__(self, connection: _Connection, *options: Any) -> None:
        super().__init__(connection, *options)
        self._undone_with = connection

    async def __aexit__(self, kind: object, error: object, traceback: object) -> None:
        if kind is None:
            await super().__aexit__(kind, error, traceback)
            return
        try:
            async with asyncio.timeout(UNDO_SECONDS):
                await super().__aexit__(kind, error, traceback)
        except (TimeoutError, asyncpg.InterfaceError):
            # It ends with its connection; what went wrong is the block's own error.
            self._undone_with.terminate()


def _keep_alive(connected: socket.socket) -> None:
    if connected.family not in (socket.AF_INET, socket.AF_INET6):
        return
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", KEEPALIVE_IDLE),
        ("TCP_KEEPINTVL", KEEPALIVE_INTERVAL),
        ("TCP_KEEPCNT", KEEPALIVE_COUNT),
        # What was sent and is not confirmed: otherwise it is sent again for a quarter of an hour.
        ("TCP_USER_TIMEOUT", 1000 * (KEEPALIVE_IDLE + KEEPALIVE_COUNT * KEEPALIVE_INTERVAL)),
    ):
        if (option := getattr(socket, name, None)) is not None:  # not every system has all of them
            connected.setsockopt(socket.IPPROTO_TCP, option, value)


def rows_of(status: str) -> int:
    """The number of rows a statement affected, from its status: `UPDATE 3` is 3."""
    return int(status.rpartition(" ")[2])


async def _as_it_is(connection: asyncpg.Connection) -> None:
    # Nothing of ours outlives a transaction or its session; asking the server to reset would be one more round trip a call.
    cast(_Connection, connection).rest()


async def _log_statements(logger: Callable[[Any], None], connection: asyncpg.Connection) -> None:
    connection.add_query_logger(logger)


def _log_statement(record: Any, **more: Any) -> None:
    if record.exception:
        more["error"] = repr(record.exception)
    log.info("sql", statement=" ".join(record.query.split()), ms=round(record.elapsed * 1000, 2), **more)


def _log_with_values(record: Any) -> None:
    _log_statement(record, parameters=[repr(value) for value in record.args])


_LOGGERS: Mapping[bool | str, Callable[[Any], None]] = {True: _log_statement, "values": _log_with_values}
