"""Writes through the service against the same work by hand: the statements of the service on bare connections, COPY and merge."""

import asyncio
import csv
import io
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from typing import Any
from uuid import uuid4

import asyncpg
import grpc
from connectra.common.v1 import records_pb2
from connectra.write.internal.v1 import import_service_pb2 as import_pb
from connectra.write.internal.v1.import_service_pb2_grpc import ImportServiceStub
from connectra.write.v1 import write_service_pb2 as pb
from connectra.write.v1.write_service_pb2_grpc import WriteServiceStub
from connectra_common.records import ids, keys
from connectra_common.records.fields import COMPANY, CONTACT, Entity
from connectra_write import marks
from connectra_write.imports.parse import ImportBatch, parse
from connectra_write.records.batches import ROWS, fold
from connectra_write.records.identities import NO_CHANGE, Identities, KeyChange
from connectra_write.records.repository import RecordRepository

from tests.bench.options import Options
from tests.support.stack import Stack
from tests.support.words import word

CONNECTIONS = 16
TURNS = 5
COLUMNS = (
    "company",
    "company_city",
    "employees",
    "industry",
    "first_name",
    "last_name",
    "email",
    "title",
    "departments",
)


@dataclass(frozen=True, slots=True)
class Result:
    """A line of the table: operations a second (records for batches), share of the floor's throughput."""

    name: str
    per_second: float
    p50_ms: float
    p99_ms: float
    share: float | None = None
    goal: str = ""

    def row(self) -> dict[str, Any]:
        """As a line of the table."""
        return {
            "what": self.name,
            "per_second": round(self.per_second),
            "p50_ms": round(self.p50_ms, 1),
            "p99_ms": round(self.p99_ms, 1),
            "of_floor": "" if self.share is None else round(self.share, 2),
            "goal": self.goal,
        }


Work = Callable[[int], Awaitable[object]]


async def run(target: Stack, options: Options) -> list[dict[str, Any]]:
    """One line per kind of write and side."""
    async with (
        grpc.aio.insecure_channel(target.grpc["write"]) as opened,
        grpc.aio.insecure_channel(target.grpc["write_internal"]) as internal,
    ):
        write, imports = WriteServiceStub(opened), ImportServiceStub(internal)
        results = [
            *await singles(target.postgres, write, options.seconds),
            *await bulks(write, options.seconds),
            *await merges(target.postgres, imports, options.seconds),
        ]
    return [result.row() for result in results]


async def timed(name: str, works: list[Work], seconds: float, records: int = 1, first: int = 0, **more: Any) -> Result:
    """Repeats all works concurrently; each call gets a number of its own, counted from `first`."""
    for n, work in enumerate(works):  # warms up connections, plans and caches
        await work(10**9 + first + n)
    numbers, taken = count(first), list[float]()
    began, until = time.perf_counter(), time.perf_counter() + seconds

    async def repeat(work: Work) -> None:
        while time.perf_counter() < until:
            start = time.perf_counter()
            await work(next(numbers))
            taken.append(time.perf_counter() - start)

    await asyncio.gather(*map(repeat, works))
    per_second = len(taken) * records / (time.perf_counter() - began)
    taken.sort()
    return Result(name, per_second, statistics.median(taken) * 1e3, taken[int(len(taken) * 0.99)] * 1e3, **more)


async def side_by_side(
    name: str, floor: list[Work], ours: list[Work], seconds: float, goal: str, records: int = 1
) -> list[Result]:
    """Both in turns, so that other load on the machine affects both; the median of the turns."""
    turns = [
        (
            await timed(f"{name}: by hand", floor, seconds / TURNS, records, first=turn * 10**5),
            await timed(f"{name}: service", ours, seconds / TURNS, records, first=turn * 10**5),
        )
        for turn in range(TURNS)
    ]
    by_hand, service = (sorted(side, key=lambda r: r.per_second)[TURNS // 2] for side in zip(*turns, strict=True))
    share = statistics.median(b.per_second / a.per_second for a, b in turns)
    return [by_hand, replace(service, share=share, goal=goal)]


def contact(mark: str, n: int) -> dict[str, Any]:
    return {
        "first_name": f"ann{n}",
        "last_name": mark,
        "email": f"ann{n}@{mark}.com",
        "title": f"engineer {n % 100}",
        "departments": ["engineering", f"team {n % 10}"],
        "city": "bonn",
        "country": "germany",
        "seniority": "senior",
        "mobile_phone": f"+4155550{n:06}",
    }


async def singles(postgres: str, write: WriteServiceStub, seconds: float) -> Iterator[Result]:
    """Create, update, upsert of one contact at 16 connections."""
    connections = [await asyncpg.connect(postgres) for _ in range(CONNECTIONS)]
    mark = word()

    def identified(n: int) -> dict[str, Any]:
        values = contact(mark, n)
        return {**values, "uuid": ids.contact_uuid(values["first_name"], mark, None, values["email"])}

    def by_hand(do: Callable[[RecordRepository, int], Awaitable[object]]) -> list[Work]:
        async def work(connection: asyncpg.Connection, n: int) -> None:
            await do(RecordRepository(connection), n)
            await marks.newest(connection)

        return [lambda n, c=connection: work(c, n) for connection in connections]  # type: ignore[misc]

    async def hand_upsert(hand: RecordRepository, n: int) -> None:
        values = identified(n)
        key = keys.number(CONTACT, keys.Key(keys.EMAIL, values["email"]))
        if found := await hand.known(CONTACT, [key], [values["uuid"]]):
            await hand.lay(CONTACT, found[0], values, NO_CHANGE)
            return
        async with hand.transaction():
            await hand.lock_keys([key])
            await hand.known(CONTACT, [key], [values["uuid"]])
            await hand.create(CONTACT, values, KeyChange([key], []))

    def new_key(n: int) -> KeyChange:
        return KeyChange([keys.number(CONTACT, keys.Key(keys.EMAIL, identified(n)["email"]))], [])

    mine = word()

    def message(n: int) -> records_pb2.Contact:
        return records_pb2.Contact(**contact(mine, n))

    async def update(n: int) -> None:
        who = records_pb2.Contact(uuid=uuids[n % len(uuids)], title=f"engineer {n % 100}", city=f"c{n % 50}")
        await write.UpdateContact(pb.UpdateContactRequest(contact=who))

    async def create(n: int) -> None:
        made = await write.CreateContact(pb.CreateContactRequest(contact=message(n)))
        uuids.append(made.contact.uuid)

    uuids: list[str] = []
    change = {"title": "engineer", "city": "c"}
    hand_uuids = [identified(n)["uuid"] for n in range(1000)]
    pairs: list[tuple[str, list[Work], Work]] = [
        ("create", by_hand(lambda h, n: h.create(CONTACT, identified(n), new_key(n))), create),
        ("update", by_hand(lambda h, n: h.update(CONTACT, hand_uuids[n % 1000], change, None)), update),
        (
            "upsert, found",
            by_hand(lambda h, n: hand_upsert(h, n % 1000)),
            lambda n: write.UpsertContact(pb.UpsertContactRequest(contact=message(n % 1000))),
        ),
        (
            "upsert, new",
            by_hand(lambda h, n: hand_upsert(h, n + 10**6)),
            lambda n: write.UpsertContact(pb.UpsertContactRequest(contact=message(n + 10**6))),
        ),
    ]
    results = []
    for name, floor_works, work in pairs:
        results += await side_by_side(name, floor_works, [work] * CONNECTIONS, seconds, ">= 45 %, p99 <= 100 ms")
    for connection in connections:
        await connection.close()
    return iter(results)


async def bulks(write: WriteServiceStub, seconds: float) -> Iterator[Result]:
    """500 contacts a request, one request after the other."""
    mark = word()

    def request(n: int) -> pb.BatchUpsertContactsRequest:
        made = [records_pb2.Contact(**contact(mark, n * 500 + i)) for i in range(500)]
        return pb.BatchUpsertContactsRequest(contacts=made)

    new = await timed(
        "bulk of 500, new", [lambda n: write.BatchUpsertContacts(request(n))], seconds, 500, goal="p50 <= 60 ms"
    )
    again = await timed(
        "bulk of 500, found", [lambda n: write.BatchUpsertContacts(request(n % 5))], seconds, 500, goal="p50 <= 60 ms"
    )
    return iter([new, again])


def csv_rows(mark: str, n: int, rows: int) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    for i in range(n * rows, (n + 1) * rows):
        company = [f"{mark} company {i // 5}", "Bonn", str(i % 5000), "Software, SaaS"]
        writer.writerow([*company, f"Ann{i}", mark, f"ann{i}@{mark}.com", f"Engineer {i % 100}", "Engineering, R&D"])
    return text.getvalue().encode()


async def merges(postgres: str, imports: ImportServiceStub, seconds: float, rows: int = 2_000) -> Iterator[Result]:
    """Batches of an import, against COPY and merge of records that are already clean."""
    connection = await asyncpg.connect(postgres)
    mark = word()
    prepared: dict[int, list[tuple[Entity, list[Any]]]] = {}

    def batch(mark: str, n: int) -> ImportBatch:
        return ImportBatch(str(uuid4()), 0, csv_rows(mark, n, rows), COLUMNS, ",", 2, 0, 0)

    def nothing_stored() -> dict[Entity, Identities]:
        return {entity: Identities(entity, (), (), ROWS.by) for entity in (COMPANY, CONTACT)}

    first = [turn * 10**5 for turn in range(TURNS)]
    for n in [start + i for start in first for i in (*range(30), 10**9)]:
        written = fold(parse(batch(mark, n % 10**9)).batch, ROWS, nothing_stored(), set()).written
        prepared[n] = [(entity, list(records.values())) for entity, records in written.items()]

    async def by_hand(n: int) -> None:
        hand = RecordRepository(connection)
        async with hand.transaction():
            for entity, records in prepared[n]:
                await hand.merge(entity, records)

    mine = word()
    requests = {
        n: import_pb.ImportBatchRequest(
            job_uuid=str(uuid4()),
            batch_number=n,
            records=csv_rows(mine, n % 10**9, rows),
            columns=COLUMNS,
            first_line=2,
        )
        for n in prepared
    }
    service: list[Work] = [lambda n: imports.ImportBatch(requests[n])]
    results = await side_by_side("batch merge", [by_hand], service, seconds, ">= 70 %", rows)
    await connection.close()
    return iter(results)
