"""Index settings and mappings, generated from the field catalogue.

A text field is searched by words; its sub-field `.ngram` holds trigrams, each at a position of its own, so that a phrase of grams
matches a substring of any length from three characters; `.keyword` orders. A keyword keeps the whole value in lower case; those marked
in the catalogue have a sub-field `.text` as well.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from connectra_common.records.fields import COMPANY, COPIED, Entity, Field, Index
from connectra_common.settings import ElasticsearchSettings

# Raise this with every change below; it is part of the name of new indices.
VERSION = 1
# The longest time until an indexed document is searchable. Usually it is shorter: indexers refresh when nothing more is waiting.
REFRESH_INTERVAL = "5s"
# Longer values can be searched but not sorted by or matched as a whole (Lucene's limit is 32,766 bytes).
MAX_KEYWORD_CHARS = 8_000

_ANALYSIS: dict[str, Any] = {
    "tokenizer": {"trigram": {"type": "ngram", "min_gram": 3, "max_gram": 3}},
    "analyzer": {
        # Folded: case and accents do not matter.
        "words": {"type": "custom", "tokenizer": "standard", "filter": ["lowercase", "asciifolding"]},
        "trigrams": {"type": "custom", "tokenizer": "trigram", "filter": ["lowercase", "asciifolding"]},
    },
    "normalizer": {
        "lower": {"type": "custom", "filter": ["lowercase"]},
        "folded": {"type": "custom", "filter": ["lowercase", "asciifolding"]},
    },
}


@cache
def indexed_fields(entity: Entity) -> Mapping[str, Field]:
    """Name in the documents to field: the entity's own, and for contacts the copies of their company's."""
    fields = {field.name: field for field in entity.fields if field.index is not Index.NONE}
    if entity is not COMPANY:
        fields |= {f"company_{field.name}": field for field in COPIED}
    return fields


def sort_field(name: str, field: Field) -> str:
    """The Elasticsearch field to sort by for this field."""
    return f"{name}.keyword" if field.index is Index.TEXT else name


def index_body(entity: Entity, settings: ElasticsearchSettings, codec: str = "best_compression") -> dict[str, Any]:
    """Body of the request that creates an index."""
    return {
        "settings": {
            "index": {
                "number_of_shards": settings.shards,
                "number_of_replicas": settings.replicas,
                "codec": codec,
                "refresh_interval": REFRESH_INTERVAL,
                "max_result_window": 10_000,
                "analysis": _ANALYSIS,
            }
        },
        "mappings": {
            "dynamic": "strict",  # a field missing from the mapping is a bug, not a new field
            "properties": {name: _mapping(field) for name, field in indexed_fields(entity).items()},
        },
    }


def _mapping(field: Field) -> dict[str, Any]:
    match field.index:
        case Index.UUID:
            return {"type": "keyword"}
        case Index.LONG:
            return {"type": "long"}
        case Index.DATE:
            return {"type": "date", "format": "strict_date_optional_time"}
        case Index.TEXT:
            keyword = {"type": "keyword", "normalizer": "folded", "ignore_above": MAX_KEYWORD_CHARS}
            grams = {"type": "text", "analyzer": "trigrams"}
            return {"type": "text", "analyzer": "words", "fields": {"keyword": keyword, "ngram": grams}}
    mapping: dict[str, Any] = {"type": "keyword", "normalizer": "lower", "ignore_above": MAX_KEYWORD_CHARS}
    if field.also_text:
        mapping["fields"] = {"text": {"type": "text", "analyzer": "words"}}
    return mapping
