"""The only way to PostgreSQL: the driver's own pools, which hold all connections of a process, apart for each kind of work.

Statements go straight to the driver: every call passes here, and a layer in between took a third of the cost of a small read.
SQLAlchemy is used only to describe the tables (`tables`) and to run migrations.
"""

import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import asyncpg
import structlog

from connectra_common import metrics
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
        },
    }


class Database:
    """The connections of a process, or of one kind of its work, each opened when first needed. All those of a process together are at most
    PG_POOL_SIZE.
    """

    def __init__(self, pool: asyncpg.Pool, name: str) -> None:
        self._pool = pool
        self._waiting = 0
        metrics.watch_pool(
            name,
            idle=pool.get_idle_size,
            used=lambda: pool.get_size() - pool.get_idle_size(),
            waiting=lambda: self._waiting,
            most=pool.get_max_size(),
        )

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
        **options: Any,
    ) -> AsyncIterator["Database"]:
        """Closed with the block.

        Args:
            process: its name, which PostgreSQL shows as `connectra-NAME`.
            session: PostgreSQL settings of every connection, in addition to the usual ones.
            work: the kind of work they are for, in metrics.
            connections: how many at most; by default PG_POOL_SIZE.
            options: further arguments of `asyncpg.connect`.
        """
        usual = connect_options(settings, process)
        usual["server_settings"] |= session or {}
        pool = asyncpg.create_pool(
            settings.dsn(),
            min_size=0,
            max_size=connections or settings.pool_size,
            max_inactive_connection_lifetime=IDLE_CONNECTION_SECONDS,
            init=_log_statements if settings.debug else None,
            reset=_as_it_is,
            **(usual | options),
        )
        async with pool:
            yield cls(pool, work)

    @classmethod
    def own(cls, settings: PostgresSettings, process: str) -> AbstractAsyncContextManager["Database"]:
        """One connection that no call holds, for readiness and short statements of the process: however busy the others are, it tells
        whether the server answers.
        """
        return cls.open(settings, process, work="own", connections=1)

    @property
    def most(self) -> int:
        """How many connections there are at most."""
        return self._pool.get_max_size()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection on which each statement is a transaction of its own.

        Raises:
            PoolExhausted: none becomes free in time.
            OSError: the server cannot be reached.
        """
        connection = await self._acquire()
        try:
            yield connection
        except BaseException as error:
            # A cancelled call may have left something open, so a connection that may not be clean is closed.
            with suppress(asyncpg.InterfaceError):  # the server ended it, and the pool has let go of it already
                if not isinstance(error, Exception) or connection.is_closed() or connection.is_in_transaction():
                    connection.terminate()
            raise
        finally:
            await self._pool.release(connection)

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
            yield connection
        finally:
            # After a call was cancelled during a statement, the connection cannot be closed politely.
            with suppress(asyncpg.InterfaceError):  # as above
                connection.terminate()
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

    async def _acquire(self) -> "PoolConnectionProxy":
        self._waiting += 1
        try:
            return await self._pool.acquire(timeout=POOL_TIMEOUT_SECONDS)
        except TimeoutError:
            raise PoolExhausted from None
        finally:
            self._waiting -= 1


def rows_of(status: str) -> int:
    """The number of rows a statement affected, from its status: `UPDATE 3` is 3."""
    return int(status.rpartition(" ")[2])


async def _as_it_is(connection: asyncpg.Connection) -> None:
    # Nothing of ours outlives a transaction or its session; asking the server to reset would be one more round trip a call.
    pass


async def _log_statements(connection: asyncpg.Connection) -> None:
    connection.add_query_logger(_log_statement)


def _log_statement(record: Any) -> None:
    # Without its parameters, which are personal data.
    failed = {"error": repr(record.exception)} if record.exception else {}
    log.info("sql", statement=" ".join(record.query.split()), ms=round(record.elapsed * 1000, 2), **failed)
