"""Imports and exports while their worker, the services and the stores are killed: each ends as if nothing had happened.

The short variant belongs to every run of the tests. `-m long` adds the kill matrix: every part, at random points of 50,000 rows.
"""

import asyncio
import csv
import io
import json
import os
import random
import shutil
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import aioboto3
import asyncpg
import httpx
import psutil
import pytest
from connectra_common.records.csv_rows import CellRefused, Header, RowReader

T = TypeVar("T")
Job = dict[str, Any]

ROWS, FEW_ROWS = 50_000, 15_000
LEASE_SECONDS = 3
END_SECONDS = 400  # an engine that is killed on a busy machine may need minutes to come back
COLUMNS = ("first_name", "last_name", "email", "title", "departments", "company", "employees", "industry")
COMPANY = ("name", "employees_count", "industries", "normalized_domain")
CONTACT = ("first_name", "last_name", "email", "title", "departments", "company_id")


@dataclass
class Place:
    """A stack of this module's own."""

    gateway: str
    api_key: str
    postgres: str
    elasticsearch: str
    s3: dict[str, str]
    home: Path
    environment: dict[str, str]
    run_connectra: Callable[..., Any]
    api: httpx.AsyncClient

    async def until(self, check: Callable[[], Awaitable[T]], seconds: float = END_SECONDS, pause: float = 0.1) -> T:
        """The first true answer. What is asked may be away meanwhile."""
        async with asyncio.timeout(seconds):
            while True:
                try:
                    if answer := await check():
                        return answer
                except (OSError, httpx.HTTPError, asyncpg.PostgresError, asyncpg.InterfaceError, KeyError):
                    pass
                await asyncio.sleep(pause)

    async def pid(self, part: str) -> int:
        """The process of a part, once it runs."""

        async def running() -> int | None:
            done = await asyncio.to_thread(self.run_connectra, self.environment, "status", "--json")
            found = {part["name"]: part for part in json.loads(done.stdout)["parts"]}[part]
            return found["pid"] if found["state"] == "running" else None

        return int(await self.until(running))

    async def kill(self, part: str, number: signal.Signals = signal.SIGKILL) -> int:
        pid = await self.pid(part)
        os.kill(pid, number)
        return pid

    async def fetch(self, statement: str, *arguments: object) -> list[asyncpg.Record]:
        """Rows, once the database answers."""

        async def ask() -> list[list[asyncpg.Record]]:
            connection = await asyncpg.connect(self.postgres, timeout=5)
            try:
                return [await connection.fetch(statement, *arguments, timeout=60)]
            finally:
                await connection.close()

        return (await self.until(ask))[0]

    async def job(self, uuid: str) -> Job:
        (row,) = await self.fetch("SELECT * FROM jobs WHERE uuid = $1", uuid)
        return {name: json.loads(v) if isinstance(v, str) and v[:1] == "{" else v for name, v in row.items()}

    async def create(self, job_type: str, data: dict[str, Any]) -> str:
        body = {"job_type": job_type, "job_data": data}
        headers = {"idempotency-key": uuid4().hex}

        async def ask() -> str | None:
            answer = await self.api.post("/common/jobs/create", json=body, headers=headers)
            return str(answer.json()["data"]["uuid"]) if answer.status_code == 201 else None

        return await self.until(ask)

    async def ended(self, uuid: str) -> Job:
        async def done() -> Job | None:
            job = await self.job(uuid)
            return job if job["status"] in ("completed", "failed") else None

        return await self.until(done)

    def store(self) -> Any:
        session = aioboto3.Session(self.s3["access_key"], self.s3["secret_key"], region_name="us-east-1")
        return session.client("s3", endpoint_url=self.s3["endpoint"])

    async def put(self, data: bytes) -> str:
        key = f"uploads/{uuid4()}.csv"

        async def send() -> str:
            async with self.store() as store:
                await store.put_object(Bucket=self.s3["bucket"], Key=key, Body=data)
            return key

        return await self.until(send)

    async def get(self, key: str) -> bytes:
        async def read() -> list[bytes]:
            async with self.store() as store:
                return [await (await store.get_object(Bucket=self.s3["bucket"], Key=key))["Body"].read()]

        return (await self.until(read))[0]

    async def uploads(self) -> list[str]:
        async with self.store() as store:
            page = await store.list_multipart_uploads(Bucket=self.s3["bucket"])
            return [upload["Key"] for upload in page.get("Uploads", ())]


@pytest.fixture(autouse=True)
def _no_indexer_outlives_its_test() -> None:
    """In place of what the folder above does for its own stack, which is not wanted here."""


@pytest.fixture(scope="module")
def home(isolated: Callable[..., Any], run_connectra: Callable[..., Any]) -> Iterator[tuple[Path, dict[str, str]]]:
    home = Path(tempfile.mkdtemp(prefix="connectra-survival-"))
    environment = isolated(home) | {"JOB_LEASE_SECONDS": str(LEASE_SECONDS), "BATCH_SIZE_FOR_INSERTION": "1000"}
    started = run_connectra(environment, "up", "--detach", timeout=280)
    assert started.returncode == 0, started.stdout + started.stderr
    yield home, environment
    run_connectra(environment, "down")
    shutil.rmtree(home)


@pytest.fixture
async def place(home: tuple[Path, dict[str, str]], run_connectra: Callable[..., Any]) -> AsyncIterator[Place]:
    path, environment = home
    status = json.loads(run_connectra(environment, "status", "--json").stdout)
    described = {name: status[name] for name in ("gateway", "api_key", "postgres", "elasticsearch", "s3")}
    headers = {"x-api-key": status["api_key"]}
    async with httpx.AsyncClient(base_url=status["gateway"], headers=headers, timeout=20, trust_env=False) as api:
        yield Place(**described, home=path, environment=environment, run_connectra=run_connectra, api=api)


def file_of(tag: str, rows: int) -> bytes:
    """People of a few companies, some twice with another title, some rows broken."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for n in range(rows):
        person = n if n % 50 else max(n - 37, 0)
        company = f"{tag} company {n % 500}"
        if n % 1_000 == 7:
            writer.writerow(["broken", tag])
        email = f"p{person}@c{n % 500}.{tag}.example"
        writer.writerow(
            [
                f"p{person}",
                tag,
                email,
                f'Head of "{n}",\nwhatever',
                "sales,Ops",
                company,
                n % 500 + 1,
                f"industry {n % 9}",
            ]
        )
    return text.getvalue().encode()


def expected(data: bytes) -> tuple[dict[str, tuple[Any, ...]], dict[str, tuple[Any, ...]], dict[str, int]]:
    """Companies and contacts by uuid as the rules make them of the file; rows and rejected rows."""
    lines = csv.reader(io.StringIO(data.decode(), newline=""))
    reader = RowReader(Header.read(next(lines)))
    companies: dict[str, dict[str, Any]] = {}
    contacts: dict[str, dict[str, Any]] = {}
    counts = {"rows": 0, "rejected": 0}
    for cells in lines:
        counts["rows"] += 1
        try:
            records = reader.read(cells)
        except CellRefused:
            counts["rejected"] += 1
            continue
        for record, into in zip(records, (companies, contacts), strict=True):
            if record:
                into.setdefault(str(record["uuid"]), {}).update(record)
    return (
        {uuid: tuple(map(record.get, COMPANY)) for uuid, record in companies.items()},
        {uuid: tuple(map(record.get, CONTACT)) for uuid, record in contacts.items()},
        counts,
    )


async def check_import(place: Place, uuid: str, tag: str, data: bytes) -> None:
    """The job is completed, and database, ledger, index and counts are those of an undisturbed run."""
    job = await place.ended(uuid)
    assert job["status"] == "completed", job["job_response"]
    companies, contacts, counts = expected(data)

    stored = await place.fetch(f"SELECT uuid, {', '.join(COMPANY)} FROM companies WHERE name LIKE $1", f"{tag}%")
    assert {row[0]: tuple(row)[1:] for row in stored} == companies
    stored = await place.fetch(f"SELECT uuid, {', '.join(CONTACT)} FROM contacts WHERE last_name = $1", tag)
    assert {row[0]: tuple(row)[1:] for row in stored} == contacts

    response = job["job_response"]
    assert {name: response[name] for name in counts} == counts
    # A record that came in two batches was created in one and updated in the other, whatever was killed between.
    assert response["created"] == len(companies) + len(contacts)
    batches = await place.fetch(
        "SELECT batch_number, byte_start, byte_end, counts FROM import_batches WHERE job_uuid = $1 ORDER BY 1", uuid
    )
    ends = [batch["byte_end"] for batch in batches]
    assert [batch["batch_number"] for batch in batches] == list(range(len(batches)))
    assert [batch["byte_start"] for batch in batches[1:]] == ends[:-1]
    assert ends[-1] == len(data)
    assert sum(json.loads(batch["counts"])["rows"] for batch in batches) == counts["rows"]
    rejected = list(csv.reader(io.StringIO((await place.get(response["rejected_s3_key"])).decode(), newline="")))
    assert len(rejected) == 1 + counts["rejected"]

    titles = {uuid: (email, title) for uuid, (_, _, email, title, _, _) in contacts.items()}
    assert await indexed(place, "contacts_index", {"term": {"last_name.keyword": tag}}, ("email", "title")) == titles


async def indexed(
    place: Place, index: str, query: dict[str, Any], fields: tuple[str, ...]
) -> dict[str, tuple[Any, ...]]:
    """What the index holds, by uuid. `completed` means searchable: nothing is waited for."""
    found: dict[str, tuple[Any, ...]] = {}
    body: dict[str, Any] = {"query": query, "size": 10_000, "sort": ["uuid"], "_source": list(fields)}
    async with httpx.AsyncClient(base_url=place.elasticsearch, timeout=60, trust_env=False) as search:
        while True:
            answer = (await search.post(f"/{index}/_search", json=body)).json()
            hits = answer["hits"]["hits"]
            found |= {hit["_id"]: tuple(hit["_source"].get(name) for name in fields) for hit in hits}
            if len(hits) < 10_000:
                return found
            body["search_after"] = hits[-1]["sort"]


async def begin_import(place: Place, rows: int) -> tuple[str, str, bytes]:
    tag = f"t{uuid4().hex[:12]}"
    data = file_of(tag, rows)
    return await place.create("insert_csv_file", {"s3_key": await place.put(data)}), tag, data


async def reached(place: Place, uuid: str, rows: int) -> None:
    """So many rows of the file are applied, or the job has ended."""

    async def there() -> bool:
        (row,) = await place.fetch(
            """SELECT coalesce(sum((counts ->> 'rows')::int), 0) >= $2
                      OR (SELECT status IN ('completed', 'failed') FROM jobs WHERE uuid = $1)
               FROM import_batches WHERE job_uuid = $1""",
            *(uuid, rows),
        )
        return bool(row[0])

    await place.until(there, pause=0.02)


@pytest.mark.timeout(600)
async def test_an_import_during_which_everything_is_killed_in_turn(place: Place) -> None:
    uuid, tag, data = await begin_import(place, FEW_ROWS)
    parts = ["first_time", "write", "postgres", "elasticsearch", "s3"]
    random.shuffle(parts)
    for n, part in enumerate(parts, 1):
        await reached(place, uuid, n * FEW_ROWS // (len(parts) + 2))
        await place.kill(part)
    await check_import(place, uuid, tag, data)


EVERYONE = {"range_query": {"must": {"created_at": {"gte": "2000-01-01"}}}}


async def check_export(place: Place, uuid: str) -> None:
    """The file is whole: each record once, as it is stored."""
    job = await place.ended(uuid)
    assert job["status"] == "completed", job["job_response"]
    data = await place.get(job["job_response"]["s3_key"])
    rows = [json.loads(line) for line in data.decode().splitlines()]
    stored = await place.fetch("SELECT uuid, email, title FROM contacts WHERE deleted_at IS NULL")
    assert len(rows) == len(stored) == job["job_response"]["rows"]
    assert len(data) == job["job_response"]["bytes"]
    assert {row["uuid"]: (row["email"], row["title"]) for row in rows} == {row[0]: (row[1], row[2]) for row in stored}


async def begin_export(place: Place, where: dict[str, Any]) -> str:
    vql = {"where": where, "select_columns": ["uuid", "email", "title", "company.name", "created_at"]}
    return await place.create("export_csv_file", {"service": "contact", "vql": vql, "format": "ndjson"})


async def run_begun(place: Place, uuid: str) -> None:
    async def begun() -> bool:
        return (await place.job(uuid))["status"] not in ("open", "in_queue")

    await place.until(begun, pause=0.01)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", ["first_time", "query"])
async def test_an_export_that_is_cut_off_gives_a_whole_file(place: Place, part: str) -> None:
    pid = await place.pid(part)
    uuid = await begin_export(place, EVERYONE)
    await run_begun(place, uuid)
    os.kill(pid, signal.SIGKILL)
    await check_export(place, uuid)
    assert await place.uploads() == []


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
async def second_runner(place: Place, tmp_path: Path) -> AsyncIterator[None]:
    """Another first_time runner beside the one of the stack."""
    process = psutil.Process(await place.pid("first_time"))
    environment = process.environ() | {
        "GRPC_LISTEN": f"127.0.0.1:{free_port()}",
        "METRICS_LISTEN": f"127.0.0.1:{free_port()}",
    }
    with (tmp_path / "second.log").open("w") as log:
        other = await asyncio.create_subprocess_exec(
            *process.cmdline(), env=environment, cwd=place.home, stdout=log, stderr=log
        )
    yield
    other.terminate()
    await asyncio.wait_for(other.wait(), 30)


async def traces(place: Place, uuid: str) -> tuple[Any, ...]:
    """All that a worker could change."""
    job = await place.job(uuid)
    attempts = await place.fetch("SELECT * FROM job_attempts WHERE job_uuid = $1 ORDER BY attempt", uuid)
    batches = await place.fetch("SELECT * FROM import_batches WHERE job_uuid = $1 ORDER BY batch_number", uuid)
    versions = await place.fetch("SELECT max(row_version), count(*) FROM contacts")
    async with place.store() as store:
        listed = (await store.list_objects_v2(Bucket=place.s3["bucket"], Prefix=f"uploads/{uuid}")).get("Contents", [])
    objects = [(found["Key"], found["ETag"], found["LastModified"]) for found in listed]
    return job, attempts, batches, versions, objects


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["import", "export"])
async def test_a_worker_that_slept_past_its_lease_changes_nothing(place: Place, second_runner: None, kind: str) -> None:
    # Of the two runners the one that took the job is put to sleep.
    tag, data = "", b""
    if kind == "import":
        uuid, tag, data = await begin_import(place, FEW_ROWS)
        await reached(place, uuid, 3_000)
    else:
        uuid = await begin_export(place, EVERYONE)
        await run_begun(place, uuid)
    sleeper = int(
        str((await place.fetch("SELECT worker FROM job_attempts WHERE job_uuid = $1", uuid))[0][0]).split(":")[-2]
    )
    os.kill(sleeper, signal.SIGSTOP)
    try:
        job = await place.ended(uuid)
        assert job["status"] == "completed", job["job_response"]
        before = await traces(place, uuid)
    finally:
        os.kill(sleeper, signal.SIGCONT)
    outcomes = [run["outcome"] for run in before[1]]
    if outcomes != ["completed"]:  # it was asleep before it was done
        assert outcomes == ["lost", "completed"]
        # It has noticed when it takes another job: with both runners at work, four run at once.
        await awake(place, sleeper)
    assert await traces(place, uuid) == before
    if kind == "import":
        await check_import(place, uuid, tag, data)
    else:
        await check_export(place, uuid)


async def awake(place: Place, pid: int) -> None:
    """The worker process has taken and ended a job again, which it does after the one it lost."""

    async def worked() -> bool:
        probes = [await place.create("insert_csv_file", {"s3_key": f"uploads/{uuid4()}.csv"}) for _ in range(4)]
        for probe in probes:
            await place.ended(probe)
        runs = await place.fetch("SELECT worker FROM job_attempts WHERE job_uuid = ANY($1::text[])", probes)
        return any(f":{pid}:" in run["worker"] for run in runs)

    await place.until(worked)


IMPORT_VICTIMS = ["first_time", "write", "postgres", "elasticsearch", "s3"]
EXPORT_VICTIMS = ["first_time", "query", "postgres", "elasticsearch", "s3"]


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("round_number", range(3))
@pytest.mark.parametrize("part", IMPORT_VICTIMS)
async def test_an_import_of_which_a_part_is_killed_anywhere(place: Place, part: str, round_number: int) -> None:
    uuid, tag, data = await begin_import(place, ROWS)
    for point in sorted(random.sample(range(ROWS), 2)):
        await reached(place, uuid, point)
        await place.kill(part)
    await check_import(place, uuid, tag, data)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("where", [{}, EVERYONE], ids=["everything", "conditions"])
@pytest.mark.parametrize("part", EXPORT_VICTIMS)
async def test_an_export_of_which_a_part_is_killed_anywhere(place: Place, part: str, where: dict[str, Any]) -> None:
    pid = await place.pid(part)
    uuid = await begin_export(place, where)
    await run_begun(place, uuid)
    seconds = random.random() * 1.5

    async def there() -> bool:
        (row,) = await place.fetch(
            "SELECT now() - started_at > make_interval(secs => $2) FROM job_attempts WHERE job_uuid = $1",
            *(uuid, seconds),
        )
        return bool(row[0])

    await place.until(there, pause=0.02)
    os.kill(pid, signal.SIGKILL)
    await check_export(place, uuid)
    assert await place.uploads() == []
