"""What `connectra migrate` does with indices that are there."""

import httpx
import pytest
from connectra_common.errors import WrongState
from connectra_common.records.fields import COMPANY
from connectra_common.search import indices
from connectra_common.search.client import create_client
from connectra_common.settings import ElasticsearchSettings
from connectra_write.indexer import bulk
from connectra_write.indexer.bulk import Document

from tests.support.stack import Stack


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
