"""What `connectra migrate` does with indices that are there."""

from dataclasses import replace
from typing import Any
from uuid import uuid4

import httpx
import pytest
from connectra_common.call import Call
from connectra_common.errors import WrongState
from connectra_common.records.fields import COMPANY, CONTACT, ENTITIES, Entity
from connectra_common.requests import read
from connectra_common.search import indices
from connectra_common.search.client import create_client
from connectra_common.search.mappings import VERSION, indexed_fields
from connectra_common.settings import ElasticsearchSettings
from connectra_common.vql.model import Vql
from connectra_common.vql.validate import checked
from connectra_query.search import extras
from connectra_query.search.compile import search_body
from connectra_query.search.engine import Search
from connectra_write.indexer import bulk
from connectra_write.indexer.bulk import Document

from tests.support.first_index import create_first
from tests.support.paths import ROOT
from tests.support.stack import Stack

Json = dict[str, Any]


async def test_an_index_that_cannot_take_a_field_is_named(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELASTICSEARCH_CONNECTION", stack.elasticsearch)
    settings = ElasticsearchSettings()
    async with httpx.AsyncClient(base_url=stack.elasticsearch) as search, create_client(settings) as client:
        made = await search.put("/other", json={"mappings": {"properties": {"name": {"type": "long"}}}})
        assert made.is_success
        try:
            with pytest.raises(WrongState, match=r"other cannot take the mapping .* reindex company"):
                await indices._extend(client, settings, COMPANY, "other")
        finally:
            await search.delete("/other")


async def test_a_deletion_sent_to_an_alias_that_is_not_there_makes_no_index(stack: Stack) -> None:
    alias = COMPANY.alias + indices.BUILDING_SUFFIX
    async with create_client(ElasticsearchSettings(connection=stack.elasticsearch, _env_file=None)) as client:
        (result,) = await bulk.send(client, [Document("x", 5, None).action(alias)])
        assert (result.taken, result.refused) == (False, False)
        assert not await client.indices.exists(index=alias)


async def test_this_release_works_on_an_index_of_the_first_version(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ELASTICSEARCH_CONNECTION", stack.elasticsearch)
    settings, name = ElasticsearchSettings(), "contacts_index-v1-20260101000000000000-test"
    async with create_client(settings) as client:
        await create_first(client, settings, name)
        try:
            there = (await client.indices.get_mapping(index=name))[name]["mappings"]["properties"]
            assert there.keys() == indexed_fields(CONTACT).keys() | {"first_name_sound", "last_name_sound"}
            person = {
                "uuid": "u",
                "last_name": "O'Neil",
                "title": "Sales Manager",
                "city": "Zürich",
                "email": "a@mail.x.example",
                "company_normalized_domain": "A.example",
            }
            await client.index(index=name, id="u", document={**person, "home_phone": "+49305550100"}, refresh=True)
            search = Search(client, 10)
            for asked in (
                {
                    "where": {
                        "text_matches": {
                            "must": [{"filter_key": "title", "text_value": "manager", "search_type": "exact"}]
                        }
                    }
                },
                {"where": {"keyword_match": {"must": {"city": "zürich", "home_phone": "+49 30 5550100"}}}},
                {"filters": {"field": "title", "operator": "contains", "value": "ales"}},
                {"q": "sales manager zurich"},
                {"q": "+49 30 5550100"},
                {"filters": {"field": "email", "operator": "domain", "value": "x.example"}},
                {"filters": {"field": "company_normalized_domain", "operator": "domain", "value": "a.example"}},
            ):
                query = checked(CONTACT, read(Vql, {**asked, "facets": [{"field": "city"}]}).model)
                answer = await search.run(name, search_body(query, extras.facet_requests(query, 1)), Call())
                assert [hit["sort"][-1] for hit in answer["hits"]["hits"]] == ["u"], asked
                assert extras.facet_results(query, answer)[0]["values"] == [{"value": "zürich", "count": 1}]
        finally:
            await client.indices.delete(index=name)


async def test_what_needs_a_newer_index_is_asked_again_when_the_alias_has_gone_to_an_older_one(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ELASTICSEARCH_CONNECTION", stack.elasticsearch)
    settings, name = ElasticsearchSettings(), "rollback-v1-20260101000000000000-test"
    entity = replace(CONTACT, alias="rollback")
    async with create_client(settings) as client:
        await create_first(client, settings, name)
        try:
            await client.indices.put_alias(index=name, name=entity.alias)
            person = {"uuid": "u", "city": "zürich", "seniority": "vp"}
            await client.index(index=name, id="u", document=person, refresh=True)
            search = Search(client, 10)
            assert search.version(entity) == VERSION
            query = checked(CONTACT, read(Vql, {"facets": [{"field": "city"}, {"field": "seniority"}]}).model)
            answer = await search.run_on_version(
                entity, lambda version: search_body(query, extras.facet_requests(query, version)), Call()
            )
            found = [facet["values"] for facet in extras.facet_results(query, answer)]
            assert found == [[{"value": "zürich", "count": 1}], [{"value": "vp", "count": 1}]]
            assert search.version(entity) == 1
        finally:
            await client.indices.delete(index=name)


@pytest.mark.parametrize("entity", ENTITIES.values(), ids=ENTITIES)
async def test_the_sample_request_creates_an_index_as_we_do(stack: Stack, entity: Entity) -> None:
    body = (ROOT / f"examples/{entity.name}_index_create.json").read_bytes()
    name, headers = f"sample-{uuid4().hex}", {"content-type": "application/json"}
    async with httpx.AsyncClient(base_url=stack.elasticsearch, trust_env=False) as search:
        created = await search.put(f"/{name}", content=body, headers=headers)
        try:
            assert created.is_success, created.text
            live = (await search.get(f"/{entity.alias}/_mapping")).json()
            made = (await search.get(f"/{name}/_mapping")).json()
            assert list(made.values()) == list(live.values())
        finally:
            await search.delete(f"/{name}")
