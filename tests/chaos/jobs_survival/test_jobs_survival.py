"""Imports and exports while their worker, the services and the stores are killed: each ends as if nothing had happened.

The short variant belongs to every run of the tests. `-m long` adds the kill matrix: every part, at random points of 50,000 rows.
"""

import asyncio
import csv
import io
import json
import os
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import aioboto3
import asyncpg
import httpx
import psutil
import pytest

from tests.support.http import client
from tests.support.jobs import ENDED, Job
from tests.support.people import records_of
from tests.support.ports import free_address
from tests.support.stack import Stack, running
from tests.support.wait import until
from tests.support.words import word

T = TypeVar("T")

ROWS, FEW_ROWS = 50_000, 15_000
LEASE_SECONDS = 3
END_SECONDS = 400  # on a busy machine a killed engine may need minutes to come back
COLUMNS = ("first_name", "last_name", "email", "title", "departments", "company", "employees", "industry")
COMPANY = ("name", "employees_count", "industries", "normalized_domain")
AWAY = (OSError, httpx.HTTPError, asyncpg.PostgresError, asyncpg.InterfaceError, KeyError)
CONTACT = ("first_name", "last_name", "email", "title", "departments", "company_id")


@dataclass
class Place:
    """A stack of this module's own."""

    stack: Stack
    api: httpx.AsyncClient

    async def until(
        self, ask: Callable[[], Awaitable[T | None]], good: Callable[[T], object] = bool, pause: float = 0.1
    ) -> T:
        """The first good answer. What is asked may be away meanwhile."""
        return await until(ask, good, seconds=END_SECONDS, pause=pause, away=AWAY)

    async def pid(self, part: str) -> int:
        """The process of a part, once it runs."""

        async def running() -> int | None:
            found = (await asyncio.to_thread(self.stack.parts))[part]
            return found["pid"] if found["state"] == "running" else None

        return await self.until(running)

    async def kill(self, part: str, number: signal.Signals = signal.SIGKILL) -> int:
        pid = await self.pid(part)
        os.kill(pid, number)
        return pid

    async def fetch(self, statement: str, *arguments: object) -> list[asyncpg.Record]:
        """Rows, once the database answers."""

        async def ask() -> list[asyncpg.Record]:
            connection = await asyncpg.connect(self.stack.postgres, timeout=5)
            try:
                return list(await connection.fetch(statement, *arguments, timeout=60))
            finally:
                await connection.close()

        return await self.until(ask, lambda rows: True)

    async def job(self, uuid: str) -> Job:
        (row,) = await self.fetch("SELECT * FROM jobs WHERE uuid = $1", uuid)
        return {name: json.loads(v) if isinstance(v, str) and v[:1] == "{" else v for name, v in row.items()}

    async def create(self, job_type: str, data: dict[str, Any], retry_count: int = 0) -> str:
        body = {"job_type": job_type, "job_data": data, "retry_count": retry_count}
        headers = {"idempotency-key": uuid4().hex}

        async def ask() -> str | None:
            answer = await self.api.post("/common/jobs/create", json=body, headers=headers)
            return str(answer.json()["data"]["uuid"]) if answer.status_code == 201 else None

        return await self.until(ask)

    async def ended(self, uuid: str) -> Job:
        async def done() -> Job | None:
            job = await self.job(uuid)
            over = job["status"] in ENDED and job["run_after"] is None
            return job if over and job["job_response"].get("searchable", True) else None

        return await self.until(done)

    def store(self) -> Any:
        session = aioboto3.Session(self.stack.s3.access_key, self.stack.s3.secret_key, region_name="us-east-1")
        return session.client("s3", endpoint_url=self.stack.s3.endpoint)

    async def put(self, data: bytes, key: str | None = None) -> str:
        key = key or f"uploads/{uuid4()}.csv"

        async def send() -> str:
            async with self.store() as store:
                await store.put_object(Bucket=self.stack.s3.bucket, Key=key, Body=data)
            return key

        return await self.until(send)

    async def get(self, key: str) -> bytes:
        async def read() -> bytes:
            async with self.store() as store:
                return bytes(await (await store.get_object(Bucket=self.stack.s3.bucket, Key=key))["Body"].read())

        return await self.until(read, lambda data: True)

    async def uploads(self) -> list[str]:
        async with self.store() as store:
            page = await store.list_multipart_uploads(Bucket=self.stack.s3.bucket)
            return [upload["Key"] for upload in page.get("Uploads", ())]


@pytest.fixture(autouse=True)
def _no_indexer_outlives_its_test() -> None:
    """Overrides the fixture of the folder above, whose stack is not wanted here."""


@pytest.fixture(scope="module")
def survivor() -> Iterator[Stack]:
    settings = {"JOB_LEASE_SECONDS": str(LEASE_SECONDS), "BATCH_SIZE_FOR_INSERTION": "1000"}
    with running("survival", **settings) as started:
        yield started


@pytest.fixture
async def place(survivor: Stack) -> AsyncIterator[Place]:
    async with client(survivor.gateway, survivor.api_key, timeout=20) as api:
        yield Place(survivor, api)


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
    """Companies and contacts by uuid as the CSV rules derive them from the file; numbers of rows and rejected rows."""
    rows = list(csv.reader(io.StringIO(data.decode(), newline="")))
    companies, contacts, rejected = records_of(rows)
    return (
        {uuid: tuple(map(record.get, COMPANY)) for uuid, record in companies.items()},
        {uuid: tuple(map(record.get, CONTACT)) for uuid, record in contacts.items()},
        {"rows": len(rows) - 1, "rejected": rejected},
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
    # A record in two batches was created by one and updated by the other, whatever was killed in between.
    assert response["created"] == len(companies) + len(contacts)
    batches = await place.fetch(
        """SELECT batch_number, byte_start, byte_end, counts, rejected FROM import_batches
           WHERE job_uuid = $1 AND generation = (SELECT max(generation) FROM import_batches WHERE job_uuid = $1) ORDER BY 1""",
        uuid,
    )
    assert all(batch["rejected"] == "[]" for batch in batches[:-1])
    ends = [batch["byte_end"] for batch in batches]
    assert [batch["batch_number"] for batch in batches] == list(range(len(batches)))
    assert [batch["byte_start"] for batch in batches[1:]] == ends[:-1]
    assert ends[-1] == len(data)
    assert sum(json.loads(batch["counts"])["rows"] for batch in batches) == counts["rows"]
    rejected = list(csv.reader(io.StringIO((await place.get(response["rejected_s3_key"])).decode(), newline="")))
    assert len(rejected) == 1 + counts["rejected"]
    # No row of a batch is missing or there twice, and they are in the order of the file.
    lines = [int(row[0]) for row in rejected[1:]]
    assert lines == sorted(set(lines))

    titles = {uuid: (email, title) for uuid, (_, _, email, title, _, _) in contacts.items()}
    assert await indexed(place, "contacts_index", {"term": {"last_name.keyword": tag}}, ("email", "title")) == titles


async def indexed(
    place: Place, index: str, query: dict[str, Any], fields: tuple[str, ...]
) -> dict[str, tuple[Any, ...]]:
    """What the index holds, by uuid. The job said that it is searchable, so nothing is waited for."""
    found: dict[str, tuple[Any, ...]] = {}
    body: dict[str, Any] = {"query": query, "size": 10_000, "sort": ["uuid"], "_source": list(fields)}
    async with client(place.stack.elasticsearch, timeout=60) as search:
        while True:
            answer = (await search.post(f"/{index}/_search", json=body)).json()
            hits = answer["hits"]["hits"]
            found |= {hit["_id"]: tuple(hit["_source"].get(name) for name in fields) for hit in hits}
            if len(hits) < 10_000:
                return found
            body["search_after"] = hits[-1]["sort"]


async def begin_import(place: Place, rows: int, retry_count: int = 0) -> tuple[str, str, bytes]:
    tag = word()
    data = file_of(tag, rows)
    return await place.create("insert_csv_file", {"s3_key": await place.put(data)}, retry_count), tag, data


async def replace_file(place: Place, uuid: str) -> tuple[str, bytes]:
    """Puts another file under the key that an import reads: other people, its columns in another order."""
    tag = word()
    lines = csv.reader(io.StringIO(file_of(tag, FEW_ROWS).decode(), newline=""))
    text = io.StringIO(newline="")
    csv.writer(text).writerows(row[::-1] for row in lines)
    data = text.getvalue().encode()
    await place.put(data, (await place.job(uuid))["data"]["s3_key"])
    return tag, data


async def reached(place: Place, uuid: str, rows: int) -> None:
    """Waits until this many rows of the file are applied, or the job has ended."""

    async def there() -> bool:
        (row,) = await place.fetch(
            """SELECT coalesce(sum((counts ->> 'rows')::int), 0) >= $2
                      OR (SELECT status IN ('completed', 'failed') FROM jobs WHERE uuid = $1)
               FROM import_batches WHERE job_uuid = $1""",
            *(uuid, rows),
        )
        return bool(row[0])

    await place.until(there, pause=0.02)


async def half_way(place: Place, uuid: str, rows: int) -> None:
    """As `reached`, where the file has so many more rows that the job must still run: otherwise what follows would prove nothing."""
    await reached(place, uuid, rows)
    assert (await place.job(uuid))["status"] not in ENDED, "the import was over before it was disturbed"


@pytest.mark.timeout(600)
async def test_an_import_during_which_everything_is_killed_in_turn(place: Place) -> None:
    uuid, tag, data = await begin_import(place, ROWS)
    parts = ["first_time", "write", "postgres", "elasticsearch", "s3"]
    random.shuffle(parts)
    for n, part in enumerate(parts, 1):
        await half_way(place, uuid, n * FEW_ROWS // (len(parts) + 2))
        await place.kill(part)
    await check_import(place, uuid, tag, data)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", [None, "first_time", "write"])
async def test_an_import_whose_object_is_replaced_in_the_middle_ends_with_the_new_one(
    place: Place, part: str | None
) -> None:
    uuid, _, _ = await begin_import(place, FEW_ROWS, retry_count=3)
    await half_way(place, uuid, FEW_ROWS // 3)
    tag, data = await replace_file(place, uuid)
    if part:
        await place.kill(part)
    await hurry(place, uuid)
    await check_import(place, uuid, tag, data)


async def hurry(place: Place, uuid: str) -> None:
    """Waits until a job has ended or failed for now; then it is retried at once."""

    async def over() -> bool:
        return (await place.job(uuid))["status"] in ENDED

    await place.until(over)
    await place.fetch("UPDATE jobs SET run_after = now() WHERE uuid = $1 AND run_after IS NOT NULL", uuid)
    await place.fetch("SELECT pg_notify('jobs', '')")


EVERYONE = {"range_query": {"must": {"created_at": {"gte": "2000-01-01"}}}}


async def check_export(place: Place, uuid: str) -> None:
    """The file is complete: each record once, as it is stored."""
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


@pytest.fixture
async def second_runner(place: Place, tmp_path: Path) -> AsyncIterator[None]:
    """A second first_time runner, next to the stack's own."""
    process = psutil.Process(await place.pid("first_time"))
    environment = process.environ() | {
        "GRPC_LISTEN": free_address(),
        "METRICS_LISTEN": free_address(),
    }
    with (tmp_path / "second.log").open("w") as log:
        other = await asyncio.create_subprocess_exec(
            *process.cmdline(), env=environment, cwd=place.stack.home, stdout=log, stderr=log
        )
    yield
    other.terminate()
    await asyncio.wait_for(other.wait(), 30)


async def traces(place: Place, uuid: str) -> tuple[Any, ...]:
    """Everything that a worker could change."""
    job = await place.job(uuid)
    attempts = await place.fetch("SELECT * FROM job_attempts WHERE job_uuid = $1 ORDER BY attempt", uuid)
    batches = await place.fetch("SELECT * FROM import_batches WHERE job_uuid = $1 ORDER BY batch_number", uuid)
    versions = await place.fetch("SELECT max(row_version), count(*) FROM contacts")
    async with place.store() as store:
        listed = (await store.list_objects_v2(Bucket=place.stack.s3.bucket, Prefix=f"uploads/{uuid}")).get(
            "Contents", []
        )
    objects = [(found["Key"], found["ETag"], found["LastModified"]) for found in listed]
    return job, attempts, batches, versions, objects


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["import", "export"])
async def test_a_worker_that_slept_past_its_lease_changes_nothing(place: Place, second_runner: None, kind: str) -> None:
    # The runner that took the job is put to sleep, the other one goes on.
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
    if outcomes != ["completed"]:  # it fell asleep before it was done
        assert outcomes == ["lost", "completed"]
        # It has noticed once it takes another job: both runners together run four at once.
        await awake(place, sleeper)
    assert await traces(place, uuid) == before
    if kind == "import":
        await check_import(place, uuid, tag, data)
    else:
        await check_export(place, uuid)


async def awake(place: Place, pid: int) -> None:
    """Waits until this worker process has taken and ended another job, which it does after the one it lost."""

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


PERSON = ("first_name", "last_name", "email", "contact_linkedin_url", "title", "company", "company_city")
MERGES = """SELECT count(*) > 0 FROM pg_stat_activity
            WHERE state = 'active' AND query LIKE '%INSERT INTO contacts AS t%' AND pid <> pg_backend_pid()"""


@dataclass
class Crowd:
    """A file that repeats people: in the next row, thousands of rows later, and under another name with the same profile URL.

    Some are stored beforehand, as in `before`. The file changes some of these, early or late in it, and leaves the others unchanged.
    """

    tag: str
    rows: int
    lines: list[tuple[str, ...]] = field(default_factory=list)
    before: list[tuple[str, ...]] = field(default_factory=list)
    people: set[int] = field(default_factory=set)
    known: set[int] = field(default_factory=set)
    changed: set[int] = field(default_factory=set)
    rejected: int = 0

    def __post_init__(self) -> None:
        apart = self.rows // 3
        for n in range(self.rows):
            person, name, title = n, "p", "the same"
            match n % 10:
                case 1:
                    person = n - 1
                case 5:
                    person = n % apart
                case 7:
                    person = n % apart
                    name = f"q{n // apart}-"
                case 3:
                    self.known.add(n)
                    self.before.append(self._line(n, "p", "old" if n % 20 == 3 else title))
                    if n % 20 == 3:
                        self.changed.add(n)
                case 9 if n > 2 * apart:  # one that an earlier row left unchanged
                    person = n - 2 * apart - (n - 2 * apart) % 20 + 13
                    title = "new"
                    self.changed.add(person)
            self.people.add(person)
            self.lines.append(self._line(person, name, title))
            if n % 500 == 250:
                self.lines.append(("", "", "", "", "of nobody", "", ""))
                self.rejected += 1

    def _line(self, person: int, name: str, title: str) -> tuple[str, ...]:
        url = f"https://www.linkedin.com/in/{self.tag}-{person}" if person % 10 == 7 else ""
        company = person % 300
        mail = f"p{person}@c{company}.{self.tag}.example"
        return (f"{name}{person}", self.tag, mail, url, title, f"{self.tag} company {company}", f"city {company % 7}")

    @staticmethod
    def file(lines: Iterable[tuple[str, ...]]) -> bytes:
        text = io.StringIO(newline="")
        csv.writer(text).writerows([PERSON, *lines])
        return text.getvalue().encode()

    def counts(self) -> dict[str, int]:
        """What an import counts, by the rules of docs/identity.md."""
        companies = {person % 300 for person in self.people}
        stored_companies = {person % 300 for person in self.known}
        return {
            "rows": len(self.lines),
            "created": len(self.people - self.known) + len(companies - stored_companies),
            "updated": len(self.changed),
            "unchanged": len(self.known - self.changed) + len(companies & stored_companies),
            "merged": len(self.lines) - self.rejected - len(self.people),
            "rejected": self.rejected,
        }

    async def stored(self, place: Place) -> list[tuple[str, ...]]:
        """Its people with their companies, without what tells them from those of another crowd."""
        rows = await place.fetch(
            """SELECT c.email, c.first_name, c.title, c.linkedin_url, o.name, o.city
               FROM contacts c LEFT JOIN companies o ON o.uuid = c.company_id
               WHERE c.last_name = $1 AND c.deleted_at IS NULL ORDER BY 1""",
            self.tag,
        )
        return [tuple(str(cell).replace(self.tag, "tag") for cell in row) for row in rows]


async def import_crowd(place: Place, victim: str | None) -> tuple[Crowd, Job]:
    """A crowd and its import, during which a process is killed five times: between two batches, and in the middle of one."""
    crowd = Crowd(word(), FEW_ROWS)
    before = await place.put(crowd.file(crowd.before))
    await place.ended(await place.create("insert_csv_file", {"s3_key": before}))
    uuid = await place.create("insert_csv_file", {"s3_key": await place.put(crowd.file(crowd.lines))})

    async def is_merging() -> bool:
        (merging,) = await place.fetch(MERGES)
        return bool(merging[0]) or (await place.job(uuid))["status"] in ENDED

    # After six dead workers in a row a job is given up.
    for n in range(5 if victim else 0):
        process = await until(lambda: process_of(place.stack, victim or ""))
        await reached(place, uuid, (n + 1) * FEW_ROWS // 8)
        if n % 2:
            await place.until(is_merging, pause=0.005)
        assert (await place.job(uuid))["status"] not in ENDED, "the import was over before it was killed"
        process.kill()
    return crowd, await place.ended(uuid)


async def process_of(stack: Stack, command: str) -> psutil.Process | None:
    """The process of a stack whose command ends like this. Asking the stack would take longer than half of an import."""
    for process in psutil.process_iter(["cmdline", "environ"]):
        home = (process.info["environ"] or {}).get("CONNECTRA_HOME")
        if home == str(stack.home) and " ".join(process.info["cmdline"] or ()).endswith(command):
            return process
    return None


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("victim", ["/connectra jobs first_time", "/connectra-write"])
async def test_repeated_people_are_counted_once_however_often_an_import_is_killed(place: Place, victim: str) -> None:
    undisturbed, smooth = await import_crowd(place, None)
    crowd, job = await import_crowd(place, victim)
    assert job["status"] == smooth["status"] == "completed", job["job_response"]
    wanted = crowd.counts()
    assert {name: smooth["job_response"][name] for name in wanted} == wanted
    assert {name: job["job_response"][name] for name in wanted} == wanted
    if victim.endswith("first_time"):
        (attempts,) = await place.fetch("SELECT count(*) FROM job_attempts WHERE job_uuid = $1", job["uuid"])
        assert attempts[0] > 4

    stored = await crowd.stored(place)
    assert len(stored) == len(crowd.people)
    assert stored == await undisturbed.stored(place)
