"""Index settings and mappings, generated from the field catalogue.

A text field is searched by words (`words`); its sub-field `.ngram` holds trigrams, each at a position of its own, so that a phrase of grams
matches a substring of any length from three characters; `.keyword` orders. A keyword keeps the whole value without case and accents, and in
`.shown` as people see it, but for case; what identifies (addresses, URLs, phones, uuids) keeps its accents. Those marked in the catalogue
have a sub-field `.text` as well. Of addresses and domains, `.domain` has the domain and all that are above it. Beside names of people there
are fields with keys of their sound (`alike`), which are computed for the documents.
"""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from connectra_common.records.fields import COMPANY, COPIED, Entity, Field, Index, Rule
from connectra_common.search import words
from connectra_common.search.alike import name_fields, sound_field
from connectra_common.settings import ElasticsearchSettings

# Raise this with every change below; it is part of the name of new indices. Conditions work on an index of any version (an older one
# answers them as it was analysed); what needs a newer one asks `Search.version`.
VERSION = 2
# The first with the words of `words`, and with `.shown`.
WORDS = 2
# The longest time until an indexed document is searchable. Usually it is shorter: indexers refresh when nothing more is waiting.
REFRESH_INTERVAL = "5s"
# Longer values can be searched but not sorted by or matched as a whole (Lucene's limit is 32,766 bytes).
MAX_KEYWORD_CHARS = 8_000


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


def shown_field(name: str, field: Field, version: int) -> str:
    """The Elasticsearch field that has the values for people: for facets and groups."""
    return f"{name}.shown" if version >= WORDS and field.has_categories else sort_field(name, field)


def version_of(index_name: str) -> int:
    """The version of an index of ours; the current one for a name that tells none."""
    found = re.search(r"-v(\d+)-", index_name)
    return int(found[1]) if found else VERSION


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
                # The order of lists that ask for none: each segment ends after the first hits of a page, however many there are.
                "sort": {"field": ["created_at", "uuid"], "order": ["desc", "asc"]},
                "analysis": words.analysis(),
            }
        },
        "mappings": {
            "dynamic": "strict",  # a field missing from the mapping is a bug, not a new field
            "properties": {name: _mapping(field) for name, field in indexed_fields(entity).items()}
            | {sound_field(name): {"type": "keyword", "doc_values": False} for name in name_fields(entity)},
        },
    }


def _mapping(field: Field) -> dict[str, Any]:
    more: dict[str, Any]
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
            more = {"domain": _domains("folded_domain")} if field.rule is Rule.DOMAIN else {}
            return {**_words(), "fields": {"keyword": keyword, "ngram": grams, **more}}
    whole = {"type": "keyword", "ignore_above": MAX_KEYWORD_CHARS}
    more = {}
    if field.has_categories:
        more["shown"] = {**whole, "normalizer": "lower", "index": False}
    if field.also_text:
        more["text"] = _words()
    if field.rule is Rule.EMAIL:
        # For who types an address, a part of it or its domain: which documents have it is all that counts.
        more["text"] = {**_words(), "index_options": "docs", "norms": False}
        more["domain"] = _domains("domain")
    whole["normalizer"] = "folded" if field.has_categories else "lower"
    return {**whole, "fields": more} if more else whole


def _domains(analyzer: str) -> dict[str, Any]:
    names = {"analyzer": f"{analyzer}s", "search_analyzer": f"asked_{analyzer}"}
    return {"type": "text", **names, "index_options": "docs", "norms": False}


def _words() -> dict[str, Any]:
    return {"type": "text", "analyzer": "words", "search_analyzer": "asked_words"}
