"""Imports and exports through jobs against the same work by hand, in the same run.

By hand, an import is: the object's stream into a COPY stage, merges of the stage, raw bulk requests, overlapped; an export is COPY TO
STDOUT into a multipart upload. Both omit what makes a job safe: ledger, leases, cleaning, ids, outbox.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import aioboto3
import asyncpg
import httpx
import psutil
from connectra_common.records.fields import COMPANY, CONTACT, COPIED, Entity, Field, Index, Rule
from connectra_common.records.sql import expression
from connectra_local.sample import COLUMNS, sample_csv

from tests.bench.options import Options
from tests.support.http import client
from tests.support.jobs import create_job
from tests.support.stack import Stack
from tests.support.words import word

PART_BYTES = 8 * 1024 * 1024
MERGE_ROWS = 10_000
BULK_BYTES = 4_000_000
SAMPLE_ROWS = 50_000
EXPORTED = (
    "uuid",
    "first_name",
    "last_name",
    "email",
    "title",
    "departments",
    "city",
    "country",
    "linkedin_url",
    "twitter_url",
    "created_at",
)
MAX_RSS_MIB = 300


@dataclass(frozen=True, slots=True)
class Result:
    """A line of the table; `share` is of the floor's rows a second."""

    name: str
    per_second: float
    seconds: float
    share: float | None = None
    goal: str = ""

    def row(self) -> dict[str, Any]:
        """As a line of the table."""
        return {
            "what": self.name,
            "rows_per_second": round(self.per_second),
            "seconds": round(self.seconds, 1),
            "of_floor": "" if self.share is None else round(self.share, 2),
            "goal": self.goal,
        }


@dataclass
class Bench:
    """A running stack and clients of it."""

    target: Stack
    api: httpx.AsyncClient
    store: Any
    connection: asyncpg.Connection

    @property
    def bucket(self) -> str:
        return self.target.s3.bucket

    async def put(self, pieces: AsyncIterator[bytes]) -> str:
        """An object of any size."""
        target = {"Bucket": self.bucket, "Key": f"bench/{uuid4()}.csv"}
        await self.upload(target, pieces)
        return target["Key"]

    async def upload(self, target: dict[str, str], pieces: AsyncIterator[bytes]) -> None:
        upload_id = (await self.store.create_multipart_upload(**target))["UploadId"]
        parts: list[dict[str, Any]] = []
        sending: asyncio.Task[None] | None = None
        buffer = bytearray()

        async def send(body: bytes) -> None:
            number = len(parts) + 1
            sent = await self.store.upload_part(**target, UploadId=upload_id, PartNumber=number, Body=body)
            parts.append({"PartNumber": number, "ETag": sent["ETag"]})

        async for piece in pieces:
            buffer += piece
            if len(buffer) >= PART_BYTES:
                if sending:
                    await sending
                sending = asyncio.create_task(send(bytes(buffer)))
                buffer.clear()
        if sending:
            await sending
        await send(bytes(buffer))
        await self.store.complete_multipart_upload(**target, UploadId=upload_id, MultipartUpload={"Parts": parts})

    async def run(self, *jobs: tuple[str, dict[str, Any]]) -> tuple[list[dict[str, Any]], float]:
        """Makes the jobs at once; the jobs once all are completed, and the seconds until then."""
        began = time.perf_counter()
        uuids = [(await create_job(self.api, job_type, data))["uuid"] for job_type, data in jobs]
        ended: dict[str, dict[str, Any]] = {}
        while len(ended) < len(uuids):
            for uuid in uuids:
                job = (await self.api.get(f"/common/jobs/{uuid}")).json()["data"]
                if job["status"] == "failed":
                    raise RuntimeError(f"job {uuid}: {job['job_response']}")
                if job["status"] == "completed" and job["job_response"].get("searchable", True):
                    ended[uuid] = job
            await asyncio.sleep(0.3)  # as `connectra import` does: polling takes time from the job
        return [ended[uuid] for uuid in uuids], time.perf_counter() - began

    def pids(self, *names: str) -> dict[str, int]:
        return {name: part["pid"] for name, part in self.target.parts().items() if name in names}


@asynccontextmanager
async def opened(target: Stack) -> AsyncIterator[Bench]:
    """Clients of a stack, closed with the block."""
    session = aioboto3.Session(target.s3.access_key, target.s3.secret_key, region_name="us-east-1")
    connection = await asyncpg.connect(target.postgres)
    try:
        async with (
            session.client("s3", endpoint_url=target.s3.endpoint) as store,
            client(target.gateway, target.api_key, timeout=60) as api,
        ):
            yield Bench(target, api, store, connection)
    finally:
        await connection.close()


async def run(target: Stack, options: Options) -> list[dict[str, Any]]:
    """One line per measurement."""
    async with opened(target) as bench:
        try:
            return [result.row() for result in (*await imports(bench, options), *await exports(bench))]
        finally:
            await bench.connection.execute("DROP SCHEMA IF EXISTS bench CASCADE")


async def people(rows: int, wide: int) -> AsyncIterator[bytes]:
    """A file of `rows` people that no earlier one has; beyond SAMPLE_ROWS they have the same names and titles.

    `wide` bytes more stand in the last column, an address, which is stored and exported but not indexed.
    """
    mark, left = word(), rows
    text = b"".join(sample_csv(min(rows, SAMPLE_ROWS), seed=hash(mark) & 0xFFFF))
    header, _, body = text.partition(b"\n")
    yield header + b"\n"
    lines = body.splitlines(keepends=True)
    n = 0
    while left:
        # What people and companies are known by.
        tag = b"%s-%d-" % (mark.encode(), n)
        some = lines[:left] if left < len(lines) else lines
        yield (
            b"".join(some)
            .replace(b"linkedin.com/in/", b"linkedin.com/in/" + tag)
            .replace(b"linkedin.com/company/", b"linkedin.com/company/" + tag)
            .replace(b".example", b"-" + tag[:-1] + b".example")
            .replace(b",\n", b",https://x.com/\n" if wide else b",\n")
            .replace(b"\n", b"x" * wide + b"\n")
        )
        left, n = left - len(some), n + 1


@asynccontextmanager
async def watched_memory(pids: dict[str, int]) -> AsyncIterator[dict[str, float]]:
    """Highest resident size of processes, in MiB, while the block runs."""
    peak = dict.fromkeys(pids, 0.0)

    async def look() -> None:
        while True:
            for name, pid in pids.items():
                peak[name] = max(peak[name], psutil.Process(pid).memory_info().rss / 2**20)
            await asyncio.sleep(0.1)

    task = asyncio.create_task(look())
    try:
        yield peak
    finally:
        task.cancel()


# --- by hand


def cell(field: Field) -> str:
    """SQL of a field's value from the stage."""
    column = f"s.{field.csv_column}"
    match field.rule:
        case Rule.LIST:
            return f"string_to_array(lower({column}), ',')"
        case Rule.INTEGER:
            return f"nullif(regexp_replace({column}, '\\D', '', 'g'), '')::bigint"
        case Rule.DOMAIN:
            return f"split_part(lower({column}), '@', 2)"
        case Rule.LOWER | Rule.EMAIL | Rule.LINKEDIN | Rule.LINKEDIN_LOWER:
            return f"nullif(lower({column}), '')"
    return f"nullif({column}, '')"


COMPANY_UUID = "md5(lower(s.company) || lower(s.company_linkedin_url))"
CONTACT_UUID = "md5(lower(s.first_name) || lower(s.last_name) || lower(s.person_linkedin_url))"


def merge(entity: Entity) -> str:
    """SQL that merges the lines $1 to $2 of the stage and returns their uuids."""
    fields = [f for f in entity.fields if f.csv_column]
    uuid = COMPANY_UUID if entity is COMPANY else CONTACT_UUID
    names, values = [f.name for f in fields], [cell(f) for f in fields]
    if entity is CONTACT:
        names, values = [*names, "company_id"], [*values, COMPANY_UUID]
    updates = ", ".join(f"{name} = coalesce(excluded.{name}, t.{name})" for name in names)
    return f"""
        INSERT INTO bench.{entity.table} AS t (uuid, {", ".join(names)})
        SELECT DISTINCT ON (1) {uuid}, {", ".join(values)} FROM bench.stage s
        WHERE s.line > $1 AND s.line <= $2 ORDER BY 1, s.line DESC
        ON CONFLICT (uuid) DO UPDATE SET {updates} RETURNING t.uuid"""


def documents(entity: Entity) -> str:
    """SQL of the bulk lines of the uuids $1."""
    members = [f"'{f.name}', {expression(f, 't')}" for f in entity.fields if f.index is not Index.NONE]
    join = ""
    if entity is CONTACT:
        members += [f"'company_{f.name}', {expression(f, 'c')}" for f in COPIED]
        join = "LEFT JOIN bench.companies c ON c.uuid = t.company_id"
    return f"""
        SELECT format('{{"index":{{"_index":"bench-{entity.table}","_id":"%s"}}}}', t.uuid) || E'\\n'
               || json_strip_nulls(json_build_object({", ".join(members)}))::text
        FROM bench.{entity.table} t {join} WHERE t.uuid = ANY($1::text[])"""


async def import_by_hand(bench: Bench, key: str) -> float:
    """Seconds until the file is stored and can be searched."""
    pool = await asyncpg.create_pool(bench.target.postgres, min_size=4, max_size=4)
    async with client(bench.target.elasticsearch, timeout=300) as search:
        await prepare(bench, search)
        began = time.perf_counter()
        body = (await bench.store.get_object(Bucket=bench.bucket, Key=key))["Body"]
        async with pool.acquire() as connection:
            await connection.copy_to_table(
                "stage", schema_name="bench", columns=COLUMNS, source=chunks(body), format="csv", header=True
            )
        slots, sending = asyncio.Semaphore(3), list[asyncio.Task[None]]()

        async def index(entity: Entity, uuids: list[str]) -> None:
            async with slots:
                async with pool.acquire() as connection:
                    lines = [row[0] for row in await connection.fetch(documents(entity), uuids)]
                size, some = 0, list[str]()
                for line in [*lines, ""]:
                    if line:
                        some.append(line)
                        size += len(line)
                    if some and (size > BULK_BYTES or not line):
                        sent = "\n".join(some).encode() + b"\n"
                        headers = {"content-type": "application/x-ndjson"}
                        answer = await search.post("/_bulk?filter_path=errors", content=sent, headers=headers)
                        assert answer.json() == {"errors": False}, answer.text[:500]
                        size, some = 0, []

        async with pool.acquire() as connection:
            total = await connection.fetchval("SELECT max(line) FROM bench.stage")
            for start in range(0, total, MERGE_ROWS):
                for entity in (COMPANY, CONTACT):
                    rows = await connection.fetch(merge(entity), start, start + MERGE_ROWS)
                    sending.append(asyncio.create_task(index(entity, [row[0] for row in rows])))
        await asyncio.gather(*sending)
        await search.post("/bench-*/_refresh")
        seconds = time.perf_counter() - began
        await search.delete("/bench-companies,bench-contacts")
    await pool.close()
    return seconds


async def chunks(body: Any) -> AsyncIterator[bytes]:
    while data := await body.read(1024 * 1024):
        yield data


async def prepare(bench: Bench, search: httpx.AsyncClient) -> None:
    """Tables and indices like the real ones, without triggers."""
    columns = ", ".join(f"{name} text" for name in COLUMNS)
    await bench.connection.execute(f"""
        DROP SCHEMA IF EXISTS bench CASCADE;
        CREATE SCHEMA bench;
        CREATE UNLOGGED TABLE bench.stage (line bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, {columns});
        CREATE TABLE bench.companies (LIKE public.companies INCLUDING ALL);
        CREATE TABLE bench.contacts (LIKE public.contacts INCLUDING ALL);""")
    for entity in (COMPANY, CONTACT):
        (found,) = (await search.get(f"/{entity.alias}")).json().values()
        kept = ("number_of_shards", "number_of_replicas", "codec", "refresh_interval", "analysis")
        settings = {name: value for name, value in found["settings"]["index"].items() if name in kept}
        await search.delete(f"/bench-{entity.table}?ignore_unavailable=true")
        made = await search.put(
            f"/bench-{entity.table}", json={"settings": {"index": settings}, "mappings": found["mappings"]}
        )
        assert made.status_code == 200, made.text


async def export_by_hand(bench: Bench) -> tuple[int, float]:
    """Rows and seconds."""
    queue: asyncio.Queue[bytes | None] = asyncio.Queue(64)
    query = f"SELECT {', '.join(EXPORTED)} FROM contacts WHERE deleted_at IS NULL"

    async def copy() -> int:
        status = await bench.connection.copy_from_query(query, output=queue.put, format="csv", header=True)
        await queue.put(None)
        return int(status.rpartition(" ")[2])

    async def pieces() -> AsyncIterator[bytes]:
        while (piece := await queue.get()) is not None:
            yield piece

    began = time.perf_counter()
    rows, _ = await asyncio.gather(copy(), bench.put(pieces()))
    return rows, time.perf_counter() - began


# --- the table


async def imports(bench: Bench, options: Options) -> list[Result]:
    """A file by a job and by hand, and four of them at once. Of a wide file only the job, whose memory is what matters."""
    rows, wide = options.rows, options.wide
    small = rows // 4
    if not wide:  # both sides once with a file of their own, so that neither pays for warming up the engines
        await import_by_hand(bench, await bench.put(people(small, wide)))
        await bench.run(("insert_csv_file", {"s3_key": await bench.put(people(small, wide))}))
    key = await bench.put(people(rows, wide))
    floor = None if wide else rows / await import_by_hand(bench, key)
    async with watched_memory(bench.pids("first_time", "write")) as peak:
        _, seconds = await bench.run(("insert_csv_file", {"s3_key": key}))
    ours = rows / seconds
    memory = ", ".join(f"{name} {mib:.0f} MiB" for name, mib in peak.items())
    results = [
        Result("import: job, everything searchable", ours, seconds, floor and ours / floor, ">= 60 %"),
        Result(f"  highest RSS: {memory}", ours, seconds, None, f"each < {MAX_RSS_MIB} MiB"),
    ]
    if floor is None:
        return results
    one_key = await bench.put(people(small, wide))
    _, one = await bench.run(("insert_csv_file", {"s3_key": one_key}))
    keys = [await bench.put(people(small, wide)) for _ in range(4)]
    _, four = await bench.run(*(("insert_csv_file", {"s3_key": key}) for key in keys))
    goal = f"{four / one:.2f} x the time of one; < 2 x on 4 cores"
    return [
        Result("import: by hand", floor, rows / floor),
        *results,
        Result("one file", small / one, one),
        Result("four such files at once", 4 * small / four, four, None, goal),
    ]


async def exports(bench: Bench) -> list[Result]:
    """All contacts by a job, without and with conditions, and by hand; each a second time, with warm caches."""
    await export_by_hand(bench)
    rows, by_hand = await export_by_hand(bench)
    results = [Result("export: by hand", rows / by_hand, by_hand)]
    conditions = {"range_query": {"must": {"created_at": {"gte": "2000-01-01"}}}}
    for name, where in (("everything", {}), ("through the index", conditions)):
        data = {"service": "contact", "vql": {"where": where, "select_columns": list(EXPORTED)}}
        await bench.run(("export_csv_file", data))
        async with watched_memory(bench.pids("first_time", "query")) as peak:
            (job,), _ = await bench.run(("export_csv_file", data))
        seconds = job["job_response"]["seconds"]
        ours = job["job_response"]["rows"] / seconds
        memory = ", ".join(f"{part} {mib:.0f} MiB" for part, mib in peak.items())
        results.append(Result(f"export: job, {name}", ours, seconds, ours * by_hand / rows, f">= 50 %; {memory}"))
    return results
