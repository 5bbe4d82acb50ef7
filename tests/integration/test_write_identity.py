"""Which record a write means: against a model of the rules, and the cases that went wrong."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4, uuid5

import asyncpg
import orjson
import pytest
from connectra_common.call import IdempotencyKey
from connectra_common.db.database import Database
from connectra_common.errors import Conflict
from connectra_common.records.fields import COMPANY, CONTACT, Entity
from connectra_common.refusals import SeveralRecords
from connectra_common.settings import PostgresSettings
from connectra_write.consistency import ConsistencyTokens
from connectra_write.imports.parse import ImportBatch
from connectra_write.imports.repository import ImportRepository
from connectra_write.imports.service import ImportService
from connectra_write.notifier import Notifier
from connectra_write.records.outcomes import Written
from connectra_write.records.repository import RecordRepository
from connectra_write.records.service import RecordService
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.wait import until

URL = UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")
SPELLINGS = {
    "email": {"a@x.com": ["a@x.com", "A@X.com"], "_a@x.com": ["_a@x.com"], "b@x.com": ["b@x.com", " B@x.com"]},
    "linkedin_url": {
        "linkedin.com/in/u": ["https://www.linkedin.com/in/u", "https://linkedin.com/in/U/"],
        "linkedin.com/in/v": ["https://linkedin.com/in/v"],
    },
    "normalized_domain": {"acme.com": ["acme.com", "Acme.com"], "bolt.org": ["bolt.org"]},
}
COMPARED = {
    name: {spelled: form for form, all_ in forms.items() for spelled in all_} for name, forms in SPELLINGS.items()
}


def compared(name: str, value: str | None) -> str | None:
    lowered = {spelled.lower(): form for spelled, form in COMPARED[name].items()}
    return lowered[value.lower()] if value else None


KEYS = {CONTACT: ("email", "linkedin_url"), COMPANY: ("normalized_domain", "linkedin_url")}


@dataclass
class Service:
    """The write service's parts on a database of their own."""

    records: RecordService
    imports: ImportService
    connection: asyncpg.Connection

    async def stored(self, entity: Entity) -> dict[str, dict[str, Any]]:
        """Live records by uuid."""
        rows = await self.connection.fetch(f"SELECT * FROM {entity.table} WHERE deleted_at IS NULL")
        return {row["uuid"]: dict(row) for row in rows}

    async def waiting(self) -> int:
        """How many sessions wait for a lock."""
        return int(await self.connection.fetchval("SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted"))

    async def load(self, columns: str, *rows: str, job: str | None = None, number: int = 0) -> Any:
        """Imports rows as one batch."""
        text = "\n".join(rows).encode()
        batch = ImportBatch(job or str(uuid4()), number, text, tuple(columns.split(",")), ",", 2, 0, len(text))
        return await self.imports.apply(batch)


@pytest.fixture
async def service(database: asyncpg.Connection, empty_database: str) -> AsyncIterator[Service]:
    async with Database.open(PostgresSettings(connection=empty_database, _env_file=None), "write") as opened:
        notifier = Notifier(opened)
        records = RecordService(opened, opened, ConsistencyTokens(opened), notifier)
        yield Service(records, ImportService(opened, notifier), database)


# ---------------------------------------------------------------------------------------------------------------------------------------
# The model: the rules as docs/identity.md has them, on records in a list, one after the other.


@dataclass
class Known:
    uuid: str
    live: bool = True
    # Compared, by field; a domain only if it was given.
    keys: dict[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)


class Ambiguous(Exception):
    pass


class Exists(Exception):
    pass


@dataclass
class Model:
    entity: Entity
    records: list[Known] = field(default_factory=list)

    def by_uuid(self, uuid: str) -> Known | None:
        return next((known for known in self.records if known.uuid == uuid), None)

    def create(self, record: dict[str, Any]) -> str:
        known = self.by_recipe(record, make=False) if "uuid" not in record else self.by_uuid(record["uuid"])
        if known and known.live:
            raise Exists
        if known is None:
            known = self.add(record.get("uuid") or self.next_uuid(record))
        known.values, known.keys = {}, {}
        self.lay(known, record)
        return known.uuid

    def upsert(self, record: dict[str, Any], by: Iterable[str]) -> str:
        known = self.meant(record, by)
        self.lay(known, record)
        return known.uuid

    def update(self, uuid: str, record: dict[str, Any]) -> None:
        known = self.by_uuid(uuid)
        assert known
        self.lay(known, record)

    def meant(self, record: dict[str, Any], by: Iterable[str]) -> Known:
        if uuid := record.get("uuid"):
            return self.by_uuid(uuid) or self.add(uuid)
        for name in KEYS[self.entity]:
            value = given_keys(self.entity, record).get(name)
            if value is None or name not in by:
                continue
            holders = [known for known in self.records if known.keys.get(name) == value]
            live = [known for known in holders if known.live]
            if len(live) > 1:
                raise Ambiguous
            if holders:
                return (live or holders)[0]
        return self.by_recipe(record) or self.add(self.next_uuid(record))

    def by_recipe(self, record: dict[str, Any], make: bool = True) -> Known | None:
        return self.by_uuid(self.next_uuid(record))

    def next_uuid(self, record: dict[str, Any]) -> str:
        keys = given_keys(self.entity, record)
        text = recipe(self.entity, record)
        while (known := self.by_uuid(str(uuid5(URL, text)))) and any(
            known.keys.get(name, value) != value for name, value in keys.items()
        ):
            text = "\n".join((text, *keys.values()))
        return str(uuid5(URL, text))

    def add(self, uuid: str) -> Known:
        self.records.append(Known(uuid))
        return self.records[-1]

    def lay(self, known: Known, record: dict[str, Any]) -> None:
        known.live = True
        for name in KEYS[self.entity]:
            if name in record:
                known.keys.pop(name, None)
                if record[name]:
                    known.keys[name] = COMPARED[name][record[name]]
        known.values.update((name, value) for name, value in record.items() if name != "uuid")


def given_keys(entity: Entity, record: dict[str, Any]) -> dict[str, str]:
    return {name: COMPARED[name][record[name]] for name in KEYS[entity] if record.get(name)}


def recipe(entity: Entity, record: dict[str, Any]) -> str:
    def part(name: str) -> str:
        return (record.get(name) or "").lower().strip(" _/")

    if entity is COMPANY:
        return part("name") + part("linkedin_url")
    return part("first_name") + part("last_name") + (part("linkedin_url") or part("email"))


def spelled(name: str) -> st.SearchStrategy[str]:
    return st.sampled_from(sorted(COMPARED[name]))


UUIDS = st.sampled_from([f"{n}0000000-0000-4000-8000-000000000000" for n in (1, 2)])
NAMES = st.sampled_from(["ann", "bob"])
CONTACTS = st.fixed_dictionaries(
    {"first_name": NAMES, "last_name": st.just("lee"), "email": spelled("email")},
    optional={"linkedin_url": spelled("linkedin_url") | st.none(), "uuid": UUIDS, "title": st.sampled_from(["a", "b"])},
)
COMPANIES = st.fixed_dictionaries(
    {"name": NAMES},
    optional={
        "normalized_domain": spelled("normalized_domain") | st.none(),
        "linkedin_url": spelled("linkedin_url"),
        "uuid": UUIDS,
        "city": st.sampled_from(["a", "b"]),
    },
)
RECORDS = {CONTACT: CONTACTS, COMPANY: COMPANIES}


def steps(entity: Entity) -> st.SearchStrategy[list[tuple[str, Any]]]:
    one = RECORDS[entity]
    changes = st.fixed_dictionaries({}, optional={name: spelled(name) | st.none() for name in KEYS[entity]})
    return st.lists(
        st.tuples(st.sampled_from(["create", "upsert", "upsert"]), one)
        | st.tuples(st.just("bulk"), st.lists(one, min_size=1, max_size=5))
        | st.tuples(st.just("update"), st.tuples(st.integers(0, 5), changes))
        | st.tuples(st.just("delete"), st.integers(0, 5)),
        min_size=1,
        max_size=12,
    )


async def do(service: Service, model: Model, how: str, what: Any) -> None:
    entity, records = model.entity, service.records
    live = [known for known in model.records if known.live]
    if how in ("update", "delete"):
        number = what if how == "delete" else what[0]
        if number >= len(live):
            return
        known = live[number]
        if how == "delete":
            await records.delete(entity, known.uuid)
            known.live = False
        else:
            await records.update(entity, known.uuid, what[1])
            model.update(known.uuid, what[1])
    elif how == "bulk":
        written = await records.batch_upsert(entity, what)
        wanted: list[str | None] = []
        for record in what:
            try:
                wanted.append(model.upsert(record, KEYS[entity]))
            except Ambiguous:
                wanted.append(None)
        assert written.uuids == wanted, (how, what)
        assert [failure.index for failure in written.failures] == [i for i, uuid in enumerate(wanted) if uuid is None]
    else:
        try:
            uuid = model.create(what) if how == "create" else model.upsert(what, KEYS[entity])
        except (Ambiguous, Exists):
            with pytest.raises(Conflict):
                await getattr(records, how)(entity, what)
            return
        answer = await getattr(records, how)(entity, what)
        assert f'"{uuid}"' in answer.record, (how, what, uuid, answer.record)
        others = {
            known.uuid
            for name, value in given_keys(entity, what).items()
            for known in model.records
            if known.live and known.uuid != uuid and known.keys.get(name) == value
        }
        warned = " ".join(warning.message for warning in answer.warnings)
        assert {known.uuid for known in model.records if known.uuid in warned} == others


async def compare(service: Service, model: Model) -> None:
    stored = await service.stored(model.entity)
    assert stored.keys() == {known.uuid for known in model.records if known.live}
    for known in model.records:
        for name, value in known.values.items() if known.live else ():
            shown = stored[known.uuid][name]
            if name in COMPARED:
                assert compared(name, shown) == compared(name, value), name
            else:
                assert shown == value, name
    entries = await service.connection.fetchval("SELECT count(DISTINCT (key, record_id)) FROM match_keys")
    assert entries == sum(len(known.keys) for known in model.records)


@pytest.mark.parametrize("entity", [CONTACT, COMPANY], ids=["contact", "company"])
@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_every_sequence_of_writes_does_what_the_rules_say(
    service: Service, entity: Entity, data: st.DataObject
) -> None:
    await service.connection.execute("TRUNCATE companies, contacts, match_keys")
    model = Model(entity)
    for how, what in data.draw(steps(entity)):
        await do(service, model, how, what)
        await compare(service, model)


# ---------------------------------------------------------------------------------------------------------------------------------------
# Cases.


async def test_firms_whose_site_is_a_page_of_a_platform_stay_apart(service: Service) -> None:
    sites = [
        "www.facebook.com/bakery",
        "www.facebook.com/yoga",
        "linktr.ee/florist",
        "linktr.ee/tailor",
        "docs-fc.github.io",
    ]
    firms = [{"name": f"Firm {n}", "website": f"https://{site}"} for n, site in enumerate(sites)]
    bulk = await service.records.batch_upsert(COMPANY, firms[:3])
    assert (bulk.created, bulk.updated, len(set(bulk.uuids))) == (3, 0, 3)
    for firm in firms[3:]:
        assert (await service.records.upsert(COMPANY, firm)).is_new
    assert {company["name"] for company in (await service.stored(COMPANY)).values()} == {f["name"] for f in firms}


async def test_a_domain_that_was_computed_identifies_nobody_and_gives_way_to_one_that_was_given(
    service: Service,
) -> None:
    upsert = service.records.upsert
    one = await upsert(COMPANY, {"name": "One", "website": "https://shop-fc.example"})
    two = await upsert(COMPANY, {"name": "Two", "website": "https://shop-fc.example/two"})
    assert two.is_new
    given_ = await upsert(COMPANY, {"name": "One", "normalized_domain": "given-fc.example"})
    assert not given_.is_new
    again = await upsert(COMPANY, {"name": "One", "website": "https://other-fc.example"})
    found = [orjson.loads(answer.record) for answer in (one, given_, again)]
    assert len({record["uuid"] for record in found}) == 1
    assert found[2]["normalized_domain"] == "given-fc.example"


async def test_another_firm_of_the_same_name_is_another_record_and_the_same_one_again(service: Service) -> None:
    delta = [{"name": "Delta", "normalized_domain": f"{name}-fc.example"} for name in ("delta", "deltafaucet")]
    assert [(await service.records.upsert(COMPANY, record)).is_new for record in delta] == [True, True]
    second = str(uuid5(URL, "delta\ndeltafaucet-fc.example"))
    assert (await service.stored(COMPANY)).keys() == {str(uuid5(URL, "delta")), second}
    assert [(await service.records.upsert(COMPANY, record)).is_new for record in delta] == [False, False]
    await service.connection.execute("TRUNCATE companies, match_keys")
    await service.records.batch_upsert(COMPANY, delta)
    assert second in await service.stored(COMPANY)


async def test_addresses_that_differ_in_signs_are_two_people(service: Service) -> None:
    people = [{"email": address} for address in ("a@signs.example", "_a@signs.example", "+a@signs.example")]
    for person in people:
        assert (await service.records.upsert(CONTACT, person)).is_new
    assert len(await service.stored(CONTACT)) == 3


async def test_an_address_that_somebody_else_had_makes_a_new_person(service: Service) -> None:
    john = {"first_name": "John", "last_name": "Smith", "email": "john@a.example"}
    uuid = str(uuid5(URL, "johnsmithjohn@a.example"))
    await service.records.create(CONTACT, john)
    await service.records.update(CONTACT, uuid, {"email": "john@b.example"})
    assert (await service.records.upsert(CONTACT, john)).is_new
    stored = await service.stored(CONTACT)
    assert {contact["email"] for contact in stored.values()} == {"john@a.example", "john@b.example"}
    assert stored[uuid]["email"] == "john@b.example"


async def test_a_profile_url_without_a_name_identifies_nobody(service: Service) -> None:
    for address in ("e1@url.example", "e2@url.example"):
        record = {"email": address, "linkedin_url": "https://www.linkedin.com/in/"}
        assert (await service.records.upsert(CONTACT, record)).is_new


async def test_records_of_a_batch_see_what_those_before_them_did(service: Service) -> None:
    a, b = str(uuid4()), str(uuid4())
    for uuid in (a, b):
        await service.records.upsert(CONTACT, {"uuid": uuid, "email": "k@batch.example"})
    bulk = await service.records.batch_upsert(
        CONTACT, [{"email": "k@batch.example"}, {"uuid": a, "email": "o@batch.example"}, {"email": "k@batch.example"}]
    )
    assert bulk.uuids == [None, a, b]
    assert all(uuid in bulk.failures[0].error for uuid in (a, b))
    await service.records.delete(CONTACT, a)
    bulk = await service.records.batch_upsert(
        CONTACT, [{"uuid": b, "email": "o@batch.example"}, {"email": "o@batch.example"}]
    )
    assert bulk.uuids == [b, b]


async def test_a_record_that_gets_another_address_while_a_batch_decides_is_not_the_one_that_is_meant(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    uuid, lock = str(uuid4()), RecordRepository.lock
    await service.records.upsert(CONTACT, {"uuid": uuid, "email": "k@moved.example"})

    async def late(self: RecordRepository, entity: Entity, uuids: Iterable[str]) -> Any:
        monkeypatch.undo()
        await service.records.update(CONTACT, uuid, {"email": "o@moved.example"})
        return await lock(self, entity, uuids)

    monkeypatch.setattr(RecordRepository, "lock", late)
    bulk = await service.records.batch_upsert(CONTACT, [{"email": "k@moved.example", "title": "new"}])
    assert (bulk.created, bulk.uuids == [uuid]) == (1, False)
    kept = (await service.stored(CONTACT))[uuid]
    assert (kept["email"], kept["title"]) == ("o@moved.example", None)


async def test_a_batch_that_takes_a_record_for_new_which_another_has_locked_is_done_again(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = sorted(str(uuid4()) for _ in range(2))
    batch = [{"uuid": first, "name": "one"}, {"uuid": second, "name": "two"}]
    merge, reached, go_on = RecordRepository.merge, asyncio.Event(), asyncio.Event()

    async def late(self: RecordRepository, *arguments: Any, **more: Any) -> Any:
        monkeypatch.setattr(RecordRepository, "merge", last)
        reached.set()
        await go_on.wait()
        return await merge(self, *arguments, **more)

    async def last(self: RecordRepository, *arguments: Any, **more: Any) -> Any:
        monkeypatch.setattr(RecordRepository, "merge", merge)
        go_on.set()
        await until(service.waiting)
        return await merge(self, *arguments, **more)

    monkeypatch.setattr(RecordRepository, "merge", late)
    stale = asyncio.create_task(service.records.batch_upsert(COMPANY, batch))
    await reached.wait()
    await service.records.create(COMPANY, batch[1])
    answers = [await service.records.batch_upsert(COMPANY, batch), await stale]
    assert [answer.uuids for answer in answers] == [[first, second]] * 2
    assert sum(answer.created for answer in answers) == 1


async def test_upserts_of_a_record_that_is_deleted_meanwhile_wait_for_each_other_in_one_order(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of them with an idempotency key, whose transaction keeps what it locked."""
    uuid, email, lock_keys = str(uuid4()), "k@order.example", RecordRepository.lock_keys
    came, locked = asyncio.Event(), asyncio.Event()
    await service.records.upsert(CONTACT, {"uuid": uuid, "email": email})

    async def upsert(title: str, key: IdempotencyKey | None = None) -> Written:
        return await service.records.upsert(CONTACT, {"email": email, "title": title}, key)

    async with service.connection.transaction():
        await service.connection.execute("UPDATE contacts SET deleted_at = now() WHERE uuid = $1", uuid)
        plain = asyncio.create_task(upsert("plain"))
        await until(service.waiting)

        async def in_turn(self: RecordRepository, numbers: Iterable[int]) -> None:
            if asyncio.current_task() is not plain:
                came.set()
                await locked.wait()
            await lock_keys(self, numbers)
            locked.set()

        monkeypatch.setattr(RecordRepository, "lock_keys", in_turn)
        keyed = asyncio.create_task(upsert("keyed", IdempotencyKey("", str(uuid4()))))
        await until(service.waiting, lambda count: count == 2 or came.is_set())
    answers = await asyncio.gather(plain, keyed)
    assert [answer.uuid for answer in answers] == [uuid, uuid]
    assert [answer.is_new for answer in answers] == [True, False]


FILE = "first_name,last_name,email,person_linkedin_url,company,company_linkedin_url,title"


async def test_a_file_imported_again_changes_nothing_and_ids_stay(service: Service) -> None:
    rows = [
        "Jane,DOE,Jane.Doe@ACME.com,http://www.linkedin.com/in/Jane-Doe/,'Acme, Inc.',http://www.linkedin.com/company/Acme,VP",
        "Jürgen,Müller,info@müller.de,,Müller & Söhne,,",
        "Jane,Doe,jane2@acme.com,https://linkedin.com/in/jane-doe,Acme,https://linkedin.com/company/acme,CTO",
        "Ann,Lee,ann@acme.com,,Acme,,",
        "Ann,Lee,ann2@acme.com,,Acme,,",
        "Ann,Lee,ann@acme.com,,Acme,,CEO",
    ]
    rows = [row.replace("'", '"') for row in rows]
    first = await service.load(FILE, *rows)
    stored = {entity: await service.stored(entity) for entity in (COMPANY, CONTACT)}
    assert "00c5752b-4b70-5e55-a027-63ae68753a52" in stored[COMPANY]
    assert "a5c98c19-d27e-5c1f-9635-0f773ac53f93" in stored[COMPANY]
    assert "700deee5-ef00-52fa-b669-6d589a9cc1de" in stored[CONTACT]
    assert stored[CONTACT]["700deee5-ef00-52fa-b669-6d589a9cc1de"]["title"] == "CTO"
    assert (len(stored[COMPANY]), len(stored[CONTACT])) == (3, 4)
    # One Jane by her URL, her company by its URL, and one Ann whose row is there twice.
    assert (first.counts.created, first.counts.merged, first.counts.rejected) == (7, 3, 0)
    again = await service.load(FILE, *rows)
    assert (again.counts.created, again.counts.updated, again.counts.unchanged) == (0, 0, 7)
    assert {entity: await service.stored(entity) for entity in (COMPANY, CONTACT)} == stored


# Three of these people are there already, without a company.
REPEATED = (
    "Ann,Lee,ann@r.example,,Acme,,CEO",
    "Bob,Ray,bob@r.example,https://linkedin.com/in/bob-r,Bolt,,CTO",
    "Old,One,old1@r.example,,Acme,,kept",
    "Old,Two,old2@r.example,,Acme,,kept",
    "Ann,Lee,ann@r.example,,Acme,,CEO",
    ",,,,,,nobody",
    "Bobby,Ray,bob2@r.example,https://www.linkedin.com/in/Bob-R/,Bolt,,CTO",
    "Old,One,old1@r.example,,Acme,,changed",
    "Cy,Fox,cy@r.example,,Bolt,,CFO",
    "Old,Three,old3@r.example,,Acme,,changed",
    "Ann,Lee,ann@r.example,,Acme Two,,CEO",
    "Old,Three,old3@r.example,,Acme,,changed",
    "Old,One,old1@r.example,,Acme,,changed",
    "Bob,Ray,bob@r.example,https://linkedin.com/in/bob-r,Bolt,,CTO",
)


@pytest.mark.parametrize("size", [1, 2, 3, 5, len(REPEATED)])
async def test_what_fell_together_is_counted_wherever_the_file_is_cut(
    service: Service, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    async def lost(*_: object) -> None:
        raise ConnectionError

    await service.load(FILE, *(f"Old,{n},old{i}@r.example,,,,kept" for i, n in enumerate(("One", "Two", "Three"), 1)))
    job, at = str(uuid4()), 0
    for number, first in enumerate(range(0, len(REPEATED), size)):
        text = "".join(f"{row}\n" for row in REPEATED[first : first + size]).encode()
        batch = ImportBatch(job, number, text, tuple(FILE.split(",")), ",", 2 + first, at, at + len(text))
        # One that is lost before its end, and one whose answer is lost.
        with monkeypatch.context() as patched:
            patched.setattr(ImportRepository, "add", lost)
            with pytest.raises(ConnectionError):
                await service.imports.apply(batch)
        for _ in range(2):
            await service.imports.apply(batch)
        at += len(text)
    counts = (await service.imports.progress(job, 0)).counts
    # New: Ann, Bob and Cy, Acme, Bolt and Acme Two. Changed: three by their company, two of them by their title as well.
    assert (counts.rows, counts.created, counts.updated, counts.unchanged, counts.rejected) == (14, 6, 3, 0, 1)
    assert counts.merged == 7
    contacts = len(await service.stored(CONTACT))
    assert counts.rows == contacts + counts.merged + counts.rejected


async def test_a_record_that_a_later_batch_changes_is_updated_and_a_company_counts_once(service: Service) -> None:
    rows = ["Ann,Lee,ann@c.example,,Acme,,CEO", "Ann,Lee,ann@c.example,,Acme,,CFO"]
    await service.load(FILE, rows[0])
    job, at, counted = str(uuid4()), 0, []
    for number, row in enumerate(rows):
        batch = ImportBatch(job, number, row.encode(), tuple(FILE.split(",")), ",", 2 + number, at, at + len(row))
        counts = (await service.imports.apply(batch)).counts
        counted.append((counts.created, counts.updated, counts.unchanged, counts.merged))
        at += len(row)
    assert counted == [(0, 0, 2, 0), (0, 1, -1, 1)]
    # A file that took its place begins from nothing.
    text = rows[1].encode()
    again = ImportBatch(job, 0, text, tuple(FILE.split(",")), ",", 2, 0, len(text), generation=1, input="other")
    counts = (await service.imports.apply(again)).counts
    assert (counts.created, counts.updated, counts.unchanged, counts.merged) == (0, 0, 2, 0)


async def test_a_row_that_may_mean_several_records_is_rejected_whole(service: Service) -> None:
    url = "https://linkedin.com/in/twice-fc"
    uuids = [str(uuid4()), str(uuid4())]
    for uuid in uuids:
        await service.records.upsert(CONTACT, {"uuid": uuid, "linkedin_url": url})
    done = await service.load(FILE, f"Ann,Lee,,{url}/,Nobody Ltd,,", "Bob,Lee,bob@twice.example,,,,")
    (rejected,) = done.rejected
    assert (rejected.line, rejected.record) == (2, f"Ann,Lee,,{url}/,Nobody Ltd,,")
    assert all(uuid in rejected.reason for uuid in uuids)
    assert (done.counts.rejected, done.counts.created, await service.stored(COMPANY)) == (1, 1, {})


async def test_a_row_is_the_record_of_its_uuid_and_works_at_the_company_that_its_row_means(service: Service) -> None:
    company, contact = str(uuid4()), str(uuid4())
    await service.records.create(
        COMPANY, {"uuid": company, "name": "Old Name", "linkedin_url": "https://www.linkedin.com/company/moved-fc"}
    )
    bob = {"uuid": contact, "first_name": "Bob", "last_name": "Lee", "email": "bob@moved.example"}
    await service.records.create(CONTACT, bob)
    await service.load(
        f"uuid,{FILE}", f"{contact},Bob,Lee,bob@moved.example,,New Name,https://linkedin.com/company/moved-fc/,CEO"
    )
    (person,) = (await service.stored(CONTACT)).values()
    assert (person["uuid"], person["title"], person["company_id"]) == (contact, "CEO", company)
    (firm,) = (await service.stored(COMPANY)).values()
    assert (firm["uuid"], firm["name"]) == (company, "New Name")


async def test_rows_mean_people_by_name_and_address_together(service: Service) -> None:
    """Where several share a mailbox, an address alone does not make them one."""
    done = await service.load(FILE, "Ann,Lee,info@box.example,,,,", "Bob,Lee,info@box.example,,,,")
    assert (done.counts.created, done.counts.merged) == (2, 0)
    rows = [
        {"first_name": name, "last_name": "Lee", "email": "info@box.example", "title": "x"} for name in ("Ann", "Cy")
    ]
    written = await service.records.batch_upsert_rows(rows)
    assert (written.created, written.updated, len(await service.stored(CONTACT))) == (1, 1, 3)


async def test_who_shares_a_key_is_told(service: Service) -> None:
    x, z = str(uuid4()), str(uuid4())
    for uuid, name in ((x, "xeno"), (z, "zora")):
        await service.records.create(
            CONTACT, {"uuid": uuid, "first_name": name, "last_name": "f", "email": f"{name}@share.example"}
        )
    taken = {"email": "zora@share.example"}
    for answer in (
        await service.records.upsert(CONTACT, {"uuid": x, **taken}),
        await service.records.update(CONTACT, x, {"email": "ZORA@Share.example"}),
        await service.records.create(CONTACT, {"first_name": "y", "last_name": "y", **taken}),
    ):
        (warning,) = answer.warnings
        assert warning.field == "email"
        assert z in warning.message
    bulk = await service.records.batch_upsert(CONTACT, [{"uuid": str(uuid4())}, {"uuid": x, **taken}])
    assert [(w.index, w.field) for w in bulk.warnings] == [(1, "email")]
    with pytest.raises(SeveralRecords) as refused:
        await service.records.upsert(CONTACT, {**taken, "title": "who"})
    assert {x, z} < set(refused.value.details["uuids"])
    assert (await service.stored(CONTACT))[z]["title"] is None


async def test_nobody_is_found_by_a_key_that_very_many_have(service: Service) -> None:
    people = [{"uuid": str(uuid4()), "email": "all@crowd.example"} for _ in range(150)]
    await service.records.batch_upsert(CONTACT, people)
    with pytest.raises(SeveralRecords):
        await service.records.upsert(CONTACT, {"email": "all@crowd.example"})
