"""Values of fields that have a word which begins as what was typed, and how many records have them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated

from connectra_common.call import Call
from connectra_common.errors import FieldViolation, ValidationFailed
from connectra_common.records.fields import COMPANY, CONTACT, Entity, Field, Index, Type
from connectra_common.records.values import tidy
from connectra_common.requests import Request, at_most, between, hint
from connectra_common.search.folding import fold, table
from connectra_common.search.mappings import indexed_fields, shown_field
from connectra_common.search.words import asked_words
from connectra_common.vql.reading import indexed_name
from pydantic import Field as Member

from connectra_query.limits import SuggestLimits
from connectra_query.search.compile import Json, beginning
from connectra_query.search.engine import Search

LIMITS = SuggestLimits()
_DEFAULT_FIELDS: Mapping[Entity, tuple[str, ...]] = {
    COMPANY: ("name", "industries", "city", "country"),
    CONTACT: ("title", "company_name", "last_name", "first_name", "city", "country"),
}


class SuggestRequest(Request):
    """What was typed so far, and where to look for it."""

    text: str = Member(description=f"What was typed so far, at most {LIMITS.text_chars} characters.")
    fields: Annotated[list[str] | None, at_most(LIMITS.fields, "fields")] = Member(
        None,
        description="Text and categorical fields, of contacts also `company.name` and others of their company; by default those that "
        "people search for.",
    )
    limit: int | None = Member(
        None,
        description=f"How many values; absent: {LIMITS.default_limit}.",
        json_schema_extra=between(1, LIMITS.limit),
    )


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A value, in lower case, and how many records have it. `field` is as it was asked for."""

    field: str
    value: str
    count: int


@dataclass(frozen=True, slots=True)
class Suggestions:
    """The most frequent first. `exact`: whether all records that have such a word were counted."""

    values: list[Suggestion]
    exact: bool


class SuggestService:
    """Asks the index for values; within a bound of records, so that one letter costs no more than a word."""

    def __init__(self, search: Search) -> None:
        self._search = search

    async def suggest(self, entity: Entity, asked: SuggestRequest, call: Call) -> Suggestions:
        """Values for what was typed.

        Raises:
            ValidationFailed: with every violation.
            Unavailable, DeadlineExceeded: as a search.
        """
        if found := list(_violations(entity, asked)):
            raise ValidationFailed.of(found)
        given = {indexed_name(entity, name): name for name in reversed(asked.fields or _DEFAULT_FIELDS[entity])}
        names = list(reversed(given))
        limit, text = asked.limit or LIMITS.default_limit, tidy(asked.text)
        if not asked_words(text):
            return Suggestions([], exact=True)
        answers = await self._search.run_each_on_version(
            entity, lambda version: [_body(entity, name, text, limit, version) for name in names], call
        )
        values = [
            Suggestion(given[name], str(bucket["key"]), bucket["doc_count"])
            for name, answer in zip(names, answers, strict=True)
            for bucket in answer["aggregations"]["values"]["buckets"]
        ]
        values.sort(key=lambda one: -one.count)
        return Suggestions(values[:limit], exact=not any(one.get("terminated_early") for one in answers))


def _violations(entity: Entity, asked: SuggestRequest) -> Iterator[FieldViolation]:
    if len(asked.text) > LIMITS.text_chars:
        yield FieldViolation.at("text", f"has {len(asked.text)} characters; at most {LIMITS.text_chars} are allowed")
    if asked.limit is not None and not 0 <= asked.limit <= LIMITS.limit:
        yield FieldViolation.at("limit", f"{asked.limit}; 1 to {LIMITS.limit} are allowed")
    known = {name: field for name, field in indexed_fields(entity).items() if _has_values(field)}
    for i, name in enumerate(asked.fields or ()):
        if indexed_name(entity, name) not in known:
            yield FieldViolation.at(f"fields[{i}]", hint(name, sorted(known)))


def _has_values(field: Field) -> bool:
    """Whether people choose among its values: a text, a category or a list, nothing that identifies one record."""
    return field.index is Index.TEXT or field.has_categories


def _body(entity: Entity, name: str, text: str, limit: int, version: int) -> Json:
    """The values of one field. As groups of one search, all fields would be looked at by one thread, and for the words of each the engine
    would look twice: to find the records, and to group them.
    """
    field = indexed_fields(entity)[name]
    terms: Json = {"field": shown_field(name, field, version), "size": limit}
    if field.type is Type.LIST:
        # A record has other values too.
        terms["include"] = f"{_pattern(fold(text))}.*"
    return {
        "query": {"constant_score": {"filter": _begins(name, field, text)}},
        "size": 0,
        "track_total_hits": False,
        "terminate_after": LIMITS.records,
        "aggs": {"values": {"terms": terms}},
    }


def _begins(name: str, field: Field, text: str) -> Json:
    if field.index is Index.TEXT or field.also_text:
        words = name if field.index is Index.TEXT else f"{name}.text"
        return beginning(words, text)
    return {"prefix": {name: {"value": fold(text)}}}


def _pattern(text: str) -> str:
    """A folded text as a regular expression of Lucene, for values that are not: each character stands for all that fold to it."""
    return "".join(f"[{''.join(map(_literal, (c, *_alike().get(c, ()))))}]" for c in text)


def _literal(one: str) -> str:
    return one if one.isalnum() else f"\\{one}"


@cache
def _alike() -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one, folded in table().items():
        if len(folded) == 1 and one.lower() == one:
            found.setdefault(folded, []).append(one)
    return found
