"""A free text as a query of Elasticsearch."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from connectra_common.records.fields import Entity
from connectra_common.search.alike import Alike, name_fields
from connectra_common.search.free_text import phone_fields, phrase_fields, searched_fields, uuid_fields, words_field
from connectra_common.search.words import UNSPACED, asked_words
from connectra_common.vql.ast import FreeText

from connectra_query.search.alike import alike_queries

Json = dict[str, Any]

# How much what was typed counts more than what may have been meant.
AS_TYPED = 100.0


def compile_free_text(node: FreeText) -> Json:
    """Whatever way it matches, as one query."""
    entity = node.entity
    found = [_all_words(node.words, entity)] if asked_words(node.words) else []
    if node.uuid:
        found += [{"term": {name: node.uuid}} for name in uuid_fields(entity)]
    if node.phones:
        found += [{"terms": {name: list(node.phones)}} for name in phone_fields(entity)]
    others = [_all_words(node.words, entity, node.alike)] if node.alike and asked_words(node.words) else []
    if node.instead:
        others.append(_all_words(node.instead, entity, node.alike))
    if others:
        as_typed: Json = {"bool": {"should": found, "minimum_should_match": 1, "boost": AS_TYPED}}
        found = [as_typed, *others]
    return found[0] if len(found) == 1 else {"dis_max": {"queries": found}}


def _all_words(text: str, entity: Entity, alike: Collection[Alike] = ()) -> Json:
    fields = _weighted(entity, searched_fields(entity))
    parts = [(part, UNSPACED.search(part) is not None) for part in text.split()]
    # Each word is in one of the fields, whichever; scripts without blanks as phrases.
    words = " ".join(part for part, is_unspaced in parts if not is_unspaced)
    with_places = _weighted(entity, phrase_fields(entity))
    clauses = [_multi_match(part, with_places, type="phrase") for part, is_unspaced in parts if is_unspaced]
    if alike:
        clauses += [_one_word(word, fields, entity, alike) for word in asked_words(words)]
    elif asked_words(words):
        clauses.append(_multi_match(words, fields, type="cross_fields", operator="and"))
    return clauses[0] if len(clauses) == 1 else {"bool": {"must": clauses}}


def _one_word(word: str, fields: Sequence[str], entity: Entity, alike: Collection[Alike]) -> Json:
    itself = _multi_match(word, fields, type="cross_fields", operator="and")
    return {"dis_max": {"queries": [itself, *alike_queries(name_fields(entity), word, alike)]}}


def _multi_match(text: str, fields: Sequence[str], **how: str) -> Json:
    return {"multi_match": {"query": text, "fields": list(fields), **how}}


def _weighted(entity: Entity, fields: Mapping[str, float]) -> list[str]:
    return [f"{words_field(entity, name)}^{weight:g}" for name, weight in fields.items()]
