"""Aggregations against an oracle: what plain Python counts in plain records, through both doors."""

import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import asyncpg
import httpx
import pytest
from connectra.query.v1 import query_service_pb2 as pb
from connectra.query.v1.query_service_pb2_grpc import QueryServiceStub
from connectra_common.records.fields import COMPANY, ENTITIES, Entity
from connectra_common.requests import read
from connectra_common.search.mappings import indexed_fields
from connectra_common.vql.model import Vql
from connectra_common.vql.proto import to_proto
from connectra_query.aggregate.models import MOST_INTERVAL, time_zones

from tests.support.http import client
from tests.support.postgres import indexed
from tests.support.queries import keyword_query
from tests.support.stack import Stack
from tests.support.words import word

Json = dict[str, Any]
PEOPLE, FIRMS = 240, 12


@dataclass(frozen=True)
class Corpus:
    """Contacts that only their mark finds, as the index has them."""

    mark: str
    token: str
    records: list[Json]

    def asked(self, **more: Any) -> Json:
        return {**keyword_query(stage=self.mark), **more}


@pytest.fixture(scope="module")
async def corpus(stack: Stack) -> AsyncIterator[Corpus]:
    chance, mark = random.Random(7), word()
    firms = [
        {"uuid": str(uuid4()), "name": f"Firm {n}", "employees_count": chance.choice([None, n, 40 * n, 5_000 + n])}
        for n in range(FIRMS)
    ]
    records = []
    for _ in range(PEOPLE):
        firm = chance.choice([None, *firms])
        records.append(
            {
                "uuid": str(uuid4()),
                "title": chance.choice([None, "VP of Sales", "vp of sales", "Engineer"]),
                "country": chance.choice([None, "germany", "germany", "austria", "japan"]),
                "departments": chance.sample(["sales", "it", "hr"], chance.randint(0, 2)),
                "created_at": datetime(2023, 12, 28, tzinfo=UTC) + timedelta(hours=chance.randint(0, 3_000)),
                "company_id": firm and firm["uuid"],
                "company_employees_count": firm and firm["employees_count"],
            }
        )
    postgres = await asyncpg.connect(stack.postgres)
    await postgres.executemany(
        "INSERT INTO companies (uuid, name, employees_count) VALUES ($1, $2, $3)", [tuple(f.values()) for f in firms]
    )
    await postgres.executemany(
        """INSERT INTO contacts (uuid, title, country, departments, created_at, company_id, stage)
        VALUES ($1, $2, $3, $4, $5, $6, $7)""",
        [(*list(record.values())[:6], mark) for record in records],
    )
    token = await indexed(postgres)
    yield Corpus(mark, token, records)
    await postgres.execute("DELETE FROM contacts WHERE stage = $1", mark)
    await postgres.close()


async def aggregated(api: httpx.AsyncClient, corpus: Corpus, **asked: Any) -> Json:
    headers = {"x-consistency-token": corpus.token}
    answer = await api.post("/contacts/aggregate", json=corpus.asked(**asked), headers=headers)
    assert answer.status_code == 200, answer.text
    assert "warnings" not in answer.json()
    found: Json = answer.json()["data"]
    return found


def counts(group: Json) -> dict[Any, int]:
    return {inner["value"]: inner["count"] for inner in group["groups"]}


def folded(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def values(records: Iterable[Json], field: str) -> Counter[Any]:
    found: Counter[Any] = Counter()
    for record in records:
        value = record[field]
        found.update(map(folded, value if isinstance(value, list) else [] if value is None else [value]))
    return found


@pytest.mark.parametrize("field", ["country", "title", "departments", "company_id", "company_employees_count"])
async def test_groups_by_value(api: httpx.AsyncClient, corpus: Corpus, field: str) -> None:
    found = await aggregated(api, corpus, group_by=[{"field": field, "size": 50}])
    expected = values(corpus.records, field)
    assert counts(found) == expected
    assert [inner["count"] for inner in found["groups"]] == sorted(expected.values(), reverse=True)
    assert found["count"] == PEOPLE
    assert found["missing"] == sum(record[field] in (None, []) for record in corpus.records)
    assert (found["other"], found["exact"]) == (0, True)


async def test_fields_of_the_company_have_the_names_that_conditions_take(
    api: httpx.AsyncClient, corpus: Corpus
) -> None:
    spelled = {}
    for dot in (".", "_"):
        size = f"company{dot}employees_count"
        asked = {"group_by": [f"company{dot}name"], "cardinality": [size], "percentiles": [{"field": size}]}
        spelled[dot] = await aggregated(api, corpus, **asked)
    assert spelled["."] == spelled["_"]
    assert spelled["."]["groups"]


async def test_what_is_beyond_the_size_is_counted(api: httpx.AsyncClient, corpus: Corpus) -> None:
    found = await aggregated(api, corpus, group_by=[{"field": "country", "size": 1}])
    expected = values(corpus.records, "country")
    assert counts(found) == {"germany": expected["germany"]}
    assert found["other"] == expected.total() - expected["germany"]


async def test_groups_in_groups(api: httpx.AsyncClient, corpus: Corpus) -> None:
    found = await aggregated(api, corpus, group_by=["country", {"field": "created_at", "calendar_interval": "month"}])
    assert set(counts(found)) == {"germany", "austria", "japan"}
    for outer in found["groups"]:
        of_country = [record for record in corpus.records if record["country"] == outer["value"]]
        assert counts(outer) == Counter(f"{record['created_at']:%Y-%m}-01" for record in of_country)


async def test_ranges(api: httpx.AsyncClient, corpus: Corpus) -> None:
    found = await aggregated(api, corpus, group_by=[{"field": "company_employees_count", "interval": 100}])
    sizes = [size for record in corpus.records if (size := record["company_employees_count"]) is not None]
    assert list(counts(found).items()) == sorted(Counter(size // 100 * 100 for size in sizes).items())
    assert found["missing"] == PEOPLE - len(sizes)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/New_York"])
@pytest.mark.parametrize("period", ["day", "week", "month", "quarter", "year"])
async def test_periods(api: httpx.AsyncClient, corpus: Corpus, period: str, zone: str) -> None:
    by = {"field": "created_at", "calendar_interval": period, "time_zone": zone}
    found = await aggregated(api, corpus, group_by=[by])
    days = [record["created_at"].astimezone(ZoneInfo(zone)).date() for record in corpus.records]
    expected = Counter(beginning(period, day).isoformat() for day in days)
    assert list(counts(found).items()) == sorted(expected.items())


def beginning(period: str, day: date) -> date:
    """The first day of the period that a day is in."""
    match period:
        case "week":
            return day - timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)
        case "quarter":
            return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
        case "year":
            return day.replace(month=1, day=1)
    return day


async def test_measures_of_each_group(api: httpx.AsyncClient, corpus: Corpus) -> None:
    percents = [0, 12.5, 50, 95, 100]
    asked = {
        "cardinality": ["company_id", "title"],
        "percentiles": [{"field": "company_employees_count", "percents": [*percents, 50]}],
    }
    for group_by in ([], ["country"]):
        found = await aggregated(api, corpus, group_by=group_by, **asked)
        for group in found["groups"] if group_by else [found]:
            mine = [r for r in corpus.records if not group_by or r["country"] == group["value"]]
            for measured in group["cardinality"]:
                assert measured["value"] == len(values(mine, measured["field"]))
                assert 0 < measured["relative_error"] < 0.01
            sizes = sorted(values(mine, "company_employees_count").elements())
            assert group["percentiles"] == [
                {
                    "field": "company_employees_count",
                    "values": [
                        {"percent": p, "value": pytest.approx(percentile(sizes, p / 100), rel=1e-6)} for p in percents
                    ],
                    "exact": True,
                }
            ]


def percentile(ordered: list[int], part: float) -> float:
    """Interpolated between the two values around the rank."""
    rank = part * (len(ordered) - 1)
    below = int(rank)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (rank - below) * (ordered[above] - ordered[below])


async def test_the_first_records_of_each_group(api: httpx.AsyncClient, corpus: Corpus) -> None:
    hits = {"size": 2, "select_columns": ["uuid", "country"]}
    found = await aggregated(api, corpus, group_by=["country"], top_hits=hits)
    by_country = defaultdict(list)
    for record in sorted(corpus.records, key=lambda r: (-r["created_at"].timestamp(), r["uuid"])):
        by_country[record["country"]].append({"uuid": record["uuid"], "country": record["country"]})
    assert {g["value"]: g["hits"] for g in found["groups"]} == {c: by_country[c][:2] for c in counts(found)}
    order = [{"order_by": "uuid", "order_direction": "desc"}]
    last = await aggregated(api, corpus, top_hits={"size": 1, "order_by": order, "select_columns": ["uuid"]})
    assert last["hits"] == [{"uuid": max(record["uuid"] for record in corpus.records)}]


@pytest.mark.parametrize("name", ["company_employees_count", "company.employees_count"])
@pytest.mark.parametrize("direction", ["desc", "DESC", "Desc"])
async def test_first_records_are_ordered_as_lists_are(
    api: httpx.AsyncClient, corpus: Corpus, name: str, direction: str
) -> None:
    order = [{"order_by": name, "order_direction": direction}, {"order_by": "uuid"}, {"order_by": "id"}]
    answer = await api.post("/contacts", json=corpus.asked(order_by=order, select_columns=["uuid"], limit=5))
    listed = [row["uuid"] for row in answer.json()["data"]]
    found = await aggregated(api, corpus, top_hits={"size": 5, "order_by": order, "select_columns": ["uuid"]})
    assert [row["uuid"] for row in found["hits"]] == listed


async def test_first_records_have_columns_of_their_company(api: httpx.AsyncClient, corpus: Corpus) -> None:
    columns = ["uuid", "company.name", "company.city"]
    answer = await api.post("/contacts", json=corpus.asked(select_columns=columns, limit=3))
    listed = [{name: row[name] for name in columns} for row in answer.json()["data"]]
    found = await aggregated(api, corpus, top_hits={"size": 3, "select_columns": columns})
    assert found["hits"] == listed


async def test_nothing_is_measured_where_nothing_matches(api: httpx.AsyncClient) -> None:
    asked = {
        **keyword_query(stage=word()),
        "group_by": [{"field": "company_employees_count", "interval": 1}],
        "percentiles": [{"field": "company_employees_count"}],
        "top_hits": {},
    }
    answer = await api.post("/contacts/aggregate", json=asked)
    assert answer.json()["data"] == {"count": 0, "groups": [], "other": 0, "missing": 0, "exact": True}
    answer = await api.post("/contacts/aggregate", json={**asked, "group_by": []})
    (measured,) = answer.json()["data"]["percentiles"]
    assert {value["value"] for value in measured["values"]} == {None}


async def test_the_typed_door_says_the_same(api: httpx.AsyncClient, query: QueryServiceStub, corpus: Corpus) -> None:
    asked: Json = {
        "group_by": [
            {"field": "country", "size": 2},
            {"field": "company_employees_count", "interval": 1000},
        ],
        "cardinality": ["company_id"],
        "percentiles": [{"field": "company_employees_count", "percents": [50]}],
        "top_hits": {"size": 1, "select_columns": ["uuid"]},
    }
    request = pb.AggregateContactsRequest(
        query=to_proto(read(Vql, corpus.asked()).model),
        aggregation=pb.Aggregation(
            group_by=[pb.GroupBy(**by) for by in asked["group_by"]],
            cardinality=asked["cardinality"],
            percentiles=[pb.Percentiles(**one) for one in asked["percentiles"]],
            top_hits=pb.TopHits(**asked["top_hits"]),
        ),
    )
    answer = await query.AggregateContacts(request)
    assert plain(answer.matches, top=True) == await aggregated(api, corpus, **asked)


def plain(group: pb.Group, *, top: bool = False) -> Json:
    """A group as the REST door writes it."""
    shown: Json = {"count": group.count}
    if not top:
        value = group.text if group.WhichOneof("value") == "text" else group.number
        shown |= {"value": value, "count_error": group.count_error}
    if group.groups:
        inner = [plain(one) for one in group.groups]
        return {**shown, "groups": inner, "other": group.other, "missing": group.missing, "exact": group.exact}
    return {
        **shown,
        "cardinality": [
            {"field": c.field, "value": c.value, "relative_error": c.relative_error} for c in group.cardinality
        ],
        "percentiles": [
            {
                "field": p.field,
                "values": [{"percent": v.percent, "value": v.value if v.HasField("value") else None} for v in p.values],
                "exact": p.exact,
            }
            for p in group.percentiles
        ],
        "hits": [{"uuid": contact.uuid} for contact in group.contacts],
    }


@pytest.mark.parametrize("entity", ENTITIES.values(), ids=ENTITIES)
async def test_every_field_is_counted_or_refused_by_name(api: httpx.AsyncClient, entity: Entity) -> None:
    """What is accepted is never refused by the engine."""
    for name in indexed_fields(entity):
        for more in ({}, {"interval": MOST_INTERVAL}, {"calendar_interval": "year"}):
            body = {"group_by": [{"field": name, **more}]}
            answer = await api.post(f"/{entity.table}/aggregate", json=body)
            # Records of other tests have numbers of 63 bits, for which no interval is long enough.
            refused = answer.status_code == 400 and (
                name in answer.text or ": take a longer one, or narrow" in answer.text
            )
            assert answer.status_code == 200 or refused, (body, answer.text)
        answer = await api.post(f"/{entity.table}/aggregate", json={"cardinality": [name]})
        assert answer.status_code == 200, answer.text
        answer = await api.post(f"/{entity.table}/aggregate", json={"percentiles": [{"field": name}]})
        assert answer.status_code in (200, 400), answer.text


async def test_every_time_zone_is_known_to_the_engine(stack: Stack) -> None:
    by = {"field": "created_at", "calendar_interval": "year"}
    aggs = {zone: {"date_histogram": {**by, "time_zone": zone}} for zone in time_zones()}
    async with client(stack.elasticsearch) as engine:
        answer = await engine.post(f"/{COMPANY.alias}/_search", json={"size": 0, "aggs": aggs})
    assert answer.status_code == 200, answer.text
    assert len(aggs) > 400


REFUSED: list[tuple[Json, str]] = [
    ({"group_by": ["country", "city", "state"]}, "at most 2 are allowed"),
    ({"group_by": ["email"]}, "`cardinality` counts the different ones"),
    ({"group_by": ["id"]}, "nearly every record has its own id"),
    ({"group_by": ["created_at"]}, "give calendar_interval, day, week"),
    ({"group_by": [{"field": "country", "size": 0}]}, "1 to 1000 are allowed"),
    ({"group_by": [{"field": "country", "interval": 5}]}, "country is not a number"),
    ({"group_by": [{"field": "company_employees_count", "interval": 0}]}, "1 to 2^53 - 1"),
    ({"group_by": [{"field": "company_employees_count", "interval": 5, "size": 5}]}, "only for groups by value"),
    ({"group_by": [{"field": "created_at", "calendar_interval": "hour"}]}, "'day', 'week'"),
    ({"group_by": [{"field": "created_at", "calendar_interval": "day", "time_zone": "Berlin"}]}, "not a time zone"),
    ({"group_by": [{"field": "country", "time_zone": "UTC"}]}, "only with calendar_interval"),
    ({"group_by": [{"field": "country", "by": "x"}]}, "unknown field 'by'"),
    ({"cardinality": ["contry"]}, "did you mean 'country'"),
    ({"cardinality": ["country"] * 6}, "at most 5 are allowed"),
    ({"percentiles": [{"field": "country"}]}, "not a number to take percentiles of"),
    ({"percentiles": [{"field": "company_employees_count", "percents": [101]}]}, "0 to 100 are allowed"),
    ({"percentiles": [{"field": "company_employees_count", "percents": []}]}, "give at least one"),
    ({"top_hits": {"size": 11}}, "1 to 10 are allowed"),
    ({"top_hits": {"select_columns": ["citi"]}}, "did you mean 'city'"),
    ({"top_hits": {"order_by": [{"order_by": "city", "order_direction": "up"}]}}, "neither 'asc' nor 'desc'"),
    ({"group_by": [{"field": "country", "size": 101}], "top_hits": {"size": 10}}, "at most 1,000 rows"),
    ({"group_by": [{"field": "country", "size": 600}], "cardinality": ["city", "state"]}, "at most 1,000 measures"),
    ({"where": {"keyword_match": {"must": {"contry": "x"}}}, "group_by": ["citi"]}, "(and 1 more)"),
]


@pytest.mark.parametrize(("asked", "said"), REFUSED, ids=range(len(REFUSED)))
async def test_what_is_refused_says_what_is_allowed(api: httpx.AsyncClient, asked: Json, said: str) -> None:
    answer = await api.post("/contacts/aggregate", json=asked)
    assert answer.status_code == 400, answer.text
    assert said in answer.json()["message"]


async def test_more_ranges_than_are_allowed_are_refused_with_a_way_out(api: httpx.AsyncClient, corpus: Corpus) -> None:
    by = {"field": "company_employees_count", "interval": 1}
    answer = await api.post("/contacts/aggregate", json=corpus.asked(group_by=[by]))
    assert answer.status_code == 400
    message = answer.json()["message"]
    assert "at most 1,000 are allowed: take a longer one, for example 6, or narrow the query" in message
    assert len((await aggregated(api, corpus, group_by=[{**by, "interval": 6}]))["groups"]) > 1


def test_counts_at_the_command_line(corpus: Corpus, stack: Stack) -> None:
    where = f'{{"keyword_match": {{"must": {{"stage": "{corpus.mark}"}}}}}}'
    assert stack.command("count", "contacts", "-w", where).stdout == f"{PEOPLE}\n"
    shown = stack.command("count", "contacts", "-w", where, "--by", "country,created_at:year")
    assert shown.returncode == 0, shown.stderr
    germans = Counter(record["created_at"].year for record in corpus.records if record["country"] == "germany")
    rows = [line.split() for line in shown.stdout.splitlines()]
    assert ["germany", "2024-01-01", str(germans[2024])] in rows
    assert f"{PEOPLE} in all" in shown.stderr
