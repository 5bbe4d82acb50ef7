"""All SQL of the write service.

Every transaction takes what it locks in one order: idempotency key, match keys, companies, contacts (with the outbox behind each), filter
values; rows in uuid order. So concurrent batches wait for each other and never deadlock.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import astuple, dataclass
from functools import lru_cache
from zlib import crc32

import asyncpg
from asyncpg.pool import PoolConnectionProxy
from connectra_common import metrics
from connectra_common.call import IdempotencyKey, current
from connectra_common.db import idempotency
from connectra_common.db.audit import UNKNOWN, Origin
from connectra_common.db.database import POOL_TIMEOUT_SECONDS, connect_options
from connectra_common.errors import DatabaseUnavailable
from connectra_common.records.cleaning import Value
from connectra_common.records.fields import COMPANY, ENTITIES, Entity, Type
from connectra_common.records.sql import json_object
from connectra_common.settings import PostgresSettings

Record = Mapping[str, Value]


# Enough that two keys seldom share one, far fewer than what a server can hold (max_locks_per_transaction x max_connections).
_KEY_LOCKS = 1_024
_KEY_LOCK_SPACE = {"company": 7_262_541, "contact": 7_262_542}


@dataclass(frozen=True, slots=True)
class FilterValue:
    """A row of filters_data. `may_change`: the display value can be another one than is stored."""

    uuid: str
    filter_key: str
    service: str
    value: str
    display_value: str
    may_change: bool = False


Values = Sequence[FilterValue]


@dataclass(frozen=True, slots=True)
class Stored:
    """A record as it is now: its JSON, and whether it was created or revived."""

    uuid: str
    record: str
    version: int
    is_new: bool


@dataclass(frozen=True, slots=True)
class Changed:
    """A record that a merge created or changed; `name` is None for contacts."""

    uuid: str
    created: bool
    name: str | None


@dataclass(frozen=True, slots=True)
class Known:
    """What decides which record is meant."""

    uuid: str
    key: str | None
    deleted: bool


class Repository:
    """Statements of one transaction. Those that change records tell the audit trail whose work it is, in the same round trip."""

    def __init__(self, connection: asyncpg.Connection | PoolConnectionProxy, origin: Origin = UNKNOWN) -> None:
        self._connection = connection
        self._origin = astuple(origin)

    async def lock_import(self, job_uuid: str) -> None:
        """Lets the batches of one job in one after the other."""
        await self._connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", job_uuid)

    async def batch(self, job_uuid: str, number: int) -> asyncpg.Record | None:
        """The ledger row of a batch that was applied."""
        return await self._connection.fetchrow(
            """SELECT counts::text, rejected::text, consistency_token FROM import_batches
               WHERE job_uuid = $1 AND batch_number = $2""",
            job_uuid,
            number,
        )

    async def add_batch(
        self, job_uuid: str, number: int, start: int, end: int, next_line: int, counts: str, rejected: str, token: int
    ) -> None:
        """Writes the ledger row of a batch; `counts` and `rejected` are JSON."""
        await self._connection.execute(
            """INSERT INTO import_batches
                   (job_uuid, batch_number, byte_start, byte_end, next_line, counts, rejected, consistency_token)
               VALUES ($1, $2, $3, $4, $5, $6::text::jsonb, $7::text::jsonb, $8)""",
            *(job_uuid, number, start, end, next_line, counts, rejected, token),
        )

    async def progress(self, job_uuid: str) -> asyncpg.Record:
        """Sums over the ledger of a job."""
        [row] = await self._connection.fetch(
            """SELECT count(*) AS batches, coalesce(max(byte_end), 0) AS byte_offset, coalesce(max(next_line), 0) AS next_line,
                      max(consistency_token) AS token,
                      coalesce(sum((counts ->> 'rows')::bigint), 0)::bigint AS rows,
                      coalesce(sum((counts ->> 'rejected')::bigint), 0)::bigint AS rejected,
                      coalesce(sum((counts ->> 'created')::bigint), 0)::bigint AS created,
                      coalesce(sum((counts ->> 'updated')::bigint), 0)::bigint AS updated,
                      coalesce(sum((counts ->> 'unchanged')::bigint), 0)::bigint AS unchanged
               FROM import_batches WHERE job_uuid = $1""",
            job_uuid,
        )
        return row

    async def merge(self, entity: Entity, records: Sequence[Record], *, clearing: bool = False) -> list[Changed]:
        """Inserts or completes records, one a uuid: what a record does not name stays as it is. Revives deleted ones.

        Returns those that were new or changed. A field that is None stays as it is too, or is cleared when `clearing`.
        """
        if not records:
            return []
        emptied = clearing and any(None in record.values() for record in records)
        stage = _stage(entity, emptied)
        await self._connection.execute(stage.create)
        names = stage.fields
        rows: list[tuple[object, ...]] = [(r["uuid"], *(r.get(name) for name in names)) for r in records]
        if emptied:
            clears = [sum(1 << i for i, n in enumerate(names) if n in r and r[n] is None) for r in records]
            rows = [(*row, cleared) for row, cleared in zip(rows, clears, strict=True)]
        await self._connection.copy_records_to_table(stage.name, records=rows, columns=stage.columns)
        return [Changed(*row) for row in await self._connection.fetch(stage.merge, *self._origin)]

    async def create(self, entity: Entity, record: Record, values: Values) -> Stored | None:
        """Inserts a record, with its filter values; None when there is one of its uuid, or its company is missing."""
        names = tuple(name for name in record if name != "uuid")
        return await self._one(_create(entity, names, bool(values)), values, record["uuid"], *map(record.get, names))

    async def restart(self, entity: Entity, record: Record, values: Values) -> Stored | None:
        """Lets a deleted record begin anew, with nothing but what is given; None when there is no deleted one."""
        names = tuple(field.name for field in entity.data_fields)
        return await self._one(_restart(entity, bool(values)), values, record["uuid"], *map(record.get, names))

    async def update(
        self, entity: Entity, uuid: str, record: Record, versions: Sequence[int] | None, values: Values
    ) -> Stored | None:
        """Lays fields over a record; None when there is none, it has another version, or its company is missing."""
        names = tuple(name for name in record if name != "uuid")
        statement = _update(entity, names, versions is not None, bool(values))
        more = () if versions is None else (list(versions),)
        return await self._one(statement, values, uuid, *more, *map(record.get, names))

    async def upsert(self, entity: Entity, record: Record, values: Values) -> Stored | None:
        """Inserts a record or lays its fields over the one of its uuid, reviving it; None when its company is missing."""
        names = tuple(name for name in record if name != "uuid")
        return await self._one(_upsert(entity, names, bool(values)), values, record["uuid"], *map(record.get, names))

    async def delete(self, entity: Entity, uuid: str, versions: Sequence[int] | None) -> bool:
        """Marks a record as deleted; False when there is none or it has another version."""
        status = await self._connection.execute(
            f"""UPDATE {entity.table} SET deleted_at = now(), updated_at = now()
                WHERE uuid = $1 AND deleted_at IS NULL AND ($2::bigint[] IS NULL OR row_version = ANY($2))
                  AND {_origin("$3", "$4")}""",
            uuid,
            None if versions is None else list(versions),
            *self._origin,
        )
        return bool(status == "UPDATE 1")

    async def version(self, entity: Entity, uuid: str) -> tuple[int, bool] | None:
        """row_version of a record and whether it is deleted; None when there is none."""
        row = await self._connection.fetchrow(
            f"SELECT row_version, deleted_at IS NOT NULL FROM {entity.table} WHERE uuid = $1", uuid
        )
        return None if row is None else (row[0], row[1])

    async def existing_companies(self, uuids: Sequence[str]) -> set[str]:
        """Those of the uuids that are of companies, deleted ones included."""
        rows = await self._connection.fetch("SELECT uuid FROM companies WHERE uuid = ANY($1::text[])", list(uuids))
        return {row[0] for row in rows}

    async def match(self, entity: Entity, keys: Sequence[str]) -> list[Known]:
        """Records with these normalised domains or e-mail addresses; of several with one, the best match comes first."""
        rows = await self._connection.fetch(
            f"""SELECT uuid, {entity.match_column}, deleted_at IS NOT NULL FROM {entity.table}
                WHERE {entity.match_column} = ANY($1::text[]) ORDER BY deleted_at IS NOT NULL, id""",
            list(keys),
        )
        return [Known(*row) for row in rows]

    async def find(self, entity: Entity, uuids: Sequence[str]) -> list[Known]:
        """Records with these uuids."""
        rows = await self._connection.fetch(
            f"""SELECT uuid, {entity.match_column}, deleted_at IS NOT NULL FROM {entity.table}
                WHERE uuid = ANY($1::text[])""",
            list(uuids),
        )
        return [Known(*row) for row in rows]

    async def lock_keys(self, entity: Entity, keys: Iterable[str]) -> None:
        """Until the transaction ends nobody else makes records of these normalised domains or e-mail addresses.

        To be called before any row is touched. The keys share a fixed number of locks, so that no batch, however large, can fill the
        server's lock table; they are taken in one order.
        """
        slots = sorted({crc32(key.encode()) % _KEY_LOCKS for key in keys})
        space = _KEY_LOCK_SPACE[entity.name]
        await self._connection.execute(
            "SELECT pg_advisory_xact_lock($1, slot) FROM unnest($2::int[]) AS slot", space, slots
        )

    async def add_filter_values(self, values: Values) -> None:
        """Puts values into filters_data. Last in a transaction: their order must not cross that of records."""
        if values:
            await self._connection.execute(f"WITH written AS (SELECT) {_FILTER_VALUES}", *_columns(values))

    async def reserve_key(self, key: IdempotencyKey, request_hash: str) -> str | None:
        """See `idempotency.reserve`."""
        return await idempotency.reserve(self._connection, key, request_hash)

    async def keep_answer(self, key: IdempotencyKey, response: str) -> None:
        """See `idempotency.keep`."""
        await idempotency.keep(self._connection, key, response)

    async def expire_keys(self, limit: int) -> int:
        """See `idempotency.expire`."""
        return await idempotency.expire(self._connection, limit)

    async def consistency_token(self) -> int:
        """A number that no outbox row of this transaction is above."""
        return int(await self._connection.fetchval("SELECT last_value FROM outbox_seq"))

    def transaction(self) -> AbstractAsyncContextManager[object]:
        """A transaction in which the following statements are one; inside another it is a part of that."""
        return self._connection.transaction()

    async def _one(self, statement: str, values: Values, *arguments: object) -> Stored | None:
        before = _columns(values) if values else ()
        row = await self._connection.fetchrow(statement, *before, *self._origin, *arguments)
        return None if row is None else Stored(*row)


class Database:
    """Hands out transactions and connections, of a pool of the driver's own: every write passes here, and each layer would cost it."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._waiting = 0
        self._reading: asyncio.Task[int] | None = None
        self._next: asyncio.Task[int] | None = None
        metrics.watch_pool(
            "asyncpg",
            idle=pool.get_idle_size,
            used=lambda: pool.get_size() - pool.get_idle_size(),
            waiting=lambda: self._waiting,
            most=pool.get_max_size(),
        )

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: PostgresSettings, audit: bool = True) -> AsyncIterator["Database"]:
        """A pool of at most `pool_size` connections, made when first needed; without `audit` their changes leave no trail."""
        options = connect_options(settings, "write")
        if not audit:
            options["server_settings"]["connectra.audit"] = "off"
        pool = asyncpg.create_pool(
            settings.dsn(),
            min_size=0,
            max_size=settings.pool_size,
            max_inactive_connection_lifetime=1800,
            reset=_as_it_is,
            **options,
        )
        async with pool:
            yield cls(pool)

    @asynccontextmanager
    async def connection(self, origin: Origin | None = None) -> AsyncIterator[Repository]:
        """A connection on which each statement is a transaction of its own; its changes are those of the call, or of `origin`.

        Raises:
            Unavailable: none is free in time.
        """
        self._waiting += 1
        try:
            connection = await self._pool.acquire(timeout=POOL_TIMEOUT_SECONDS)
        except TimeoutError:
            raise DatabaseUnavailable("the database is busy; try again") from None
        finally:
            self._waiting -= 1
        try:
            yield Repository(connection, origin or Origin.of_call(current()))
        except BaseException as error:
            # A call that was cut off may have left something open: what is not certainly clean is thrown away.
            if not isinstance(error, Exception) or connection.is_closed() or connection.is_in_transaction():
                connection.terminate()
            raise
        finally:
            await self._pool.release(connection)

    @asynccontextmanager
    async def transaction(self, origin: Origin | None = None) -> AsyncIterator[Repository]:
        """A transaction that commits when the block ends well."""
        async with self.connection(origin) as repository, repository.transaction():
            yield repository

    async def consistency_token(self) -> int:
        """A number that no outbox row of transactions that are committed by now is above.

        One query answers all who ask while the one before is under way.
        """
        if self._next is None:
            self._next = asyncio.create_task(self._read_token(self._reading))
        return await asyncio.shield(self._next)

    async def _read_token(self, before: "asyncio.Task[int] | None") -> int:
        if before is not None:
            await asyncio.wait([before])
        # Who asks from now on may have committed after this look.
        self._reading, self._next = self._next, None
        async with self.connection() as repository:
            return await repository.consistency_token()


async def _as_it_is(connection: asyncpg.Connection) -> None:
    # Nothing of ours outlives a transaction; asking the server to reset would be one more round trip a call.
    pass


def _columns(values: Values) -> tuple[list[object], ...]:
    ordered = sorted(values, key=lambda value: value.uuid)
    return tuple(list(column) for column in zip(*(astuple(value) for value in ordered), strict=True))


# Filter values of `written`, where it has a row. One that is there is neither written nor locked; the name of a company always may have
# changed. In uuid order.
_FILTER_VALUES = """
    INSERT INTO filters_data AS f (uuid, filter_key, service, value, display_value)
    SELECT v.uuid, v.filter_key, v.service, v.value, v.display_value
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bool[])
        AS v (uuid, filter_key, service, value, display_value, may_change)
    WHERE EXISTS (SELECT FROM written)
      AND (v.may_change OR NOT EXISTS (SELECT FROM filters_data k WHERE k.uuid = v.uuid AND k.deleted_at IS NULL))
    ORDER BY v.uuid
    ON CONFLICT (uuid) DO UPDATE SET display_value = excluded.display_value, deleted_at = NULL
    WHERE f.deleted_at IS NOT NULL OR f.display_value <> excluded.display_value"""
_FILTER_PARAMETERS = 6


_SQL_TYPES = {Type.INTEGER: "bigint", Type.TEXT: "text", Type.LIST: "text[]", Type.TIME: "timestamptz"}


class _Parameters:
    """Numbers and types the parameters of a statement, after those of the filter values and of its origin."""

    def __init__(self, entity: Entity, with_values: bool) -> None:
        self._entity = entity
        self._used = _FILTER_PARAMETERS if with_values else 0
        self.origin = _origin(self.add("text"), self.add("text"))

    def add(self, type_: str) -> str:
        self._used += 1
        return f"${self._used}::{type_}"

    def field(self, name: str) -> str:
        return self.add(_SQL_TYPES[self._entity.by_name[name].type])


def _origin(actor: str, request_id: str) -> str:
    """A condition that is true, and lets the triggers of the audit trail know; a subquery is evaluated once, not once a row."""
    return f"""(SELECT set_config('connectra.actor', {actor}, true) || set_config('connectra.request_id', {request_id}, true)
                IS NOT NULL)"""


def _statement(entity: Entity, written: str, with_values: bool, before: str = "", is_new: str = "true") -> str:
    # `written` returns the row; PostgreSQL writes it as JSON.
    values = f", filter_values AS ({_FILTER_VALUES})" if with_values else ""
    return f"""
        WITH {before} written AS ({written}){values}
        SELECT t.uuid, ({json_object(entity, "t")})::text, t.row_version, {is_new} FROM written t"""


def _company_exists(names: Sequence[str], cells: Sequence[str]) -> str:
    # A contact's company must be there; a deleted one counts.
    if "company_id" not in names:
        return "true"
    cell = cells[names.index("company_id")]
    return f"({cell} IS NULL OR EXISTS (SELECT FROM companies WHERE uuid = {cell}))"


@lru_cache(maxsize=512)
def _create(entity: Entity, names: tuple[str, ...], with_values: bool) -> str:
    parameters = _Parameters(entity, with_values)
    cells = [parameters.add("text"), *map(parameters.field, names)]
    written = f"""
        INSERT INTO {entity.table} AS t ({", ".join(("uuid", *names))}) SELECT {", ".join(cells)}
        WHERE {_company_exists(names, cells[1:])} AND {parameters.origin} ON CONFLICT (uuid) DO NOTHING RETURNING t.*"""
    return _statement(entity, written, with_values)


@lru_cache(maxsize=512)
def _restart(entity: Entity, with_values: bool) -> str:
    parameters = _Parameters(entity, with_values)
    uuid = parameters.add("text")
    names = tuple(field.name for field in entity.data_fields)
    cells = [parameters.field(name) for name in names]
    written = f"""
        UPDATE {entity.table} AS t SET {_assignments(names, cells)}deleted_at = NULL, created_at = now(), updated_at = now()
        WHERE uuid = {uuid} AND deleted_at IS NOT NULL AND {_company_exists(names, cells)} AND {parameters.origin}
        RETURNING t.*"""
    return _statement(entity, written, with_values)


@lru_cache(maxsize=512)
def _update(entity: Entity, names: tuple[str, ...], with_version: bool, with_values: bool) -> str:
    parameters = _Parameters(entity, with_values)
    uuid = parameters.add("text")
    version = f"row_version = ANY({parameters.add('bigint[]')})" if with_version else "true"
    cells = [parameters.field(name) for name in names]
    written = f"""
        UPDATE {entity.table} AS t SET {_assignments(names, cells)}updated_at = now()
        WHERE uuid = {uuid} AND deleted_at IS NULL AND {version} AND {_company_exists(names, cells)} AND {parameters.origin}
        RETURNING t.*"""
    return _statement(entity, written, with_values, is_new="false")


@lru_cache(maxsize=512)
def _upsert(entity: Entity, names: tuple[str, ...], with_values: bool) -> str:
    parameters = _Parameters(entity, with_values)
    cells = [parameters.add("text"), *map(parameters.field, names)]
    # The row as it is now, under its lock: whether it is revived cannot be told afterwards.
    before = f"""before AS MATERIALIZED (
        SELECT deleted_at IS NOT NULL AS deleted FROM {entity.table} WHERE uuid = {cells[0]} FOR UPDATE),"""
    assignments = _assignments(names, [f"excluded.{name}" for name in names])
    written = f"""
        INSERT INTO {entity.table} AS t ({", ".join(("uuid", *names))}) SELECT {", ".join(cells)}
        FROM (SELECT count(*) FROM before) AS locked
        WHERE {_company_exists(names, cells[1:])} AND {parameters.origin}
        ON CONFLICT (uuid) DO UPDATE SET {assignments}deleted_at = NULL, updated_at = now()
        RETURNING t.*, t.xmax = 0 AS created"""
    is_new = "t.created OR coalesce((SELECT deleted FROM before), false)"
    return _statement(entity, written, with_values, before, is_new)


def _assignments(names: Sequence[str], cells: Sequence[str]) -> str:
    return "".join(f"{name} = {cell}, " for name, cell in zip(names, cells, strict=True))


@dataclass(frozen=True, slots=True)
class _Stage:
    """A table of the connection's own that a batch is copied to, and what merges it."""

    name: str
    fields: tuple[str, ...]
    columns: tuple[str, ...]
    create: str
    merge: str


@lru_cache(maxsize=2 * len(ENTITIES))
def _stage(entity: Entity, clearing: bool) -> _Stage:
    table, stage = entity.table, f"stage_{entity.table}{'_clearing' if clearing else ''}"
    names = tuple(field.name for field in entity.data_fields)
    columns = ", ".join(("uuid", *names))
    definitions = ", ".join(f"{field.name} {_SQL_TYPES[field.type]}" for field in entity.data_fields)
    stored = ", ".join(f"t.{name}" for name in names)
    if clearing:
        # Bit i of `clears`: field i was given empty. It has no column in the table, so `excluded` does not have it.
        kept = ", ".join(
            f"CASE WHEN s.clears & {1 << i} = 0 THEN coalesce(excluded.{name}, t.{name}) END"
            for i, name in enumerate(names)
        )
        own = f"FROM {stage} s WHERE s.uuid = excluded.uuid"
        assigned, differs = f"(SELECT {kept} {own})", f"EXISTS (SELECT {own} AND ({stored}) IS DISTINCT FROM ({kept}))"
        uuid, clears = 'uuid text COLLATE "C" PRIMARY KEY', ", clears bigint"
    else:
        kept = ", ".join(f"coalesce(excluded.{name}, t.{name})" for name in names)
        assigned, differs = f"ROW({kept})", f"({stored}) IS DISTINCT FROM ({kept})"
        uuid, clears = 'uuid text COLLATE "C"', ""
    return _Stage(
        name=stage,
        fields=names,
        columns=("uuid", *names, "clears") if clearing else ("uuid", *names),
        # One a connection, emptied by every commit.
        create=f"CREATE TEMPORARY TABLE IF NOT EXISTS {stage} ({uuid}, {definitions}{clears}) ON COMMIT DELETE ROWS",
        # A row that would not change is left alone: no new version, nothing to index.
        merge=f"""
            INSERT INTO {table} AS t ({columns}) SELECT {columns} FROM {stage} WHERE {_origin("$1::text", "$2::text")} ORDER BY uuid
            ON CONFLICT (uuid) DO UPDATE SET ({", ".join(names)}) = {assigned}, deleted_at = NULL, updated_at = now()
            WHERE t.deleted_at IS NOT NULL OR {differs}
            RETURNING t.uuid, t.xmax = 0, {"t.name" if entity is COMPANY else "NULL"}""",
    )
