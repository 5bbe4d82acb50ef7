"""The index of contacts as the first release made it: version 1."""

from typing import Any

from connectra_common.records.fields import CONTACT, Field, Index
from connectra_common.search import indices
from connectra_common.search.mappings import indexed_fields
from connectra_common.settings import ElasticsearchSettings
from elasticsearch import AsyncElasticsearch

Json = dict[str, Any]

_ANALYSIS: Json = {
    "tokenizer": {"trigram": {"type": "ngram", "min_gram": 3, "max_gram": 3}},
    "analyzer": {
        "words": {"type": "custom", "tokenizer": "standard", "filter": ["lowercase", "asciifolding"]},
        "trigrams": {"type": "custom", "tokenizer": "trigram", "filter": ["lowercase", "asciifolding"]},
    },
    "normalizer": {
        "lower": {"type": "custom", "filter": ["lowercase"]},
        "folded": {"type": "custom", "filter": ["lowercase", "asciifolding"]},
    },
}
_LATER = {"work_direct_phone", "home_phone", "other_phone"}


async def create_first(client: AsyncElasticsearch, settings: ElasticsearchSettings, name: str) -> None:
    """An index of that version, with the fields that this release adds to it. Its name should have `-v1-`."""
    fields = {n: _mapping(f) for n, f in indexed_fields(CONTACT).items() if n not in _LATER}
    await client.indices.create(
        index=name,
        settings={"index": {"analysis": _ANALYSIS}},
        mappings={"dynamic": "strict", "properties": fields},
    )
    await indices.add_fields(client, settings, CONTACT, name)


def _mapping(field: Field) -> Json:
    plain = {Index.UUID: {"type": "keyword"}, Index.LONG: {"type": "long"}, Index.DATE: {"type": "date"}}
    if field.index in plain:
        return plain[field.index]
    if field.index is Index.TEXT:
        keyword = {"type": "keyword", "normalizer": "folded"}
        fields = {"keyword": keyword, "ngram": {"type": "text", "analyzer": "trigrams"}}
        return {"type": "text", "analyzer": "words", "fields": fields}
    more = {"fields": {"text": {"type": "text", "analyzer": "words"}}} if field.also_text else {}
    return {"type": "keyword", "normalizer": "lower", **more}
