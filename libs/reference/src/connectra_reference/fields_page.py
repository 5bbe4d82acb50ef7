"""docs/fields.md: every field of companies and contacts, from the field catalogue; what may search it, from the validator of VQL."""

from collections.abc import Iterator
from typing import Any

from connectra_common.errors import ValidationFailed
from connectra_common.records.cleaning import MAX_INT64
from connectra_common.records.fields import COMPANY, CONTACT, CsvRule, Entity, Field, Rule, Type
from connectra_common.records.limits import MAX_EMAIL_CHARS, MAX_ITEM_CHARS, MAX_LIST_ITEMS, MAX_TEXT_CHARS
from connectra_common.search.mappings import indexed_fields
from connectra_common.vql.model import Vql
from connectra_common.vql.validate import checked

from connectra_reference.markdown import table

HEAD = """\
# Fields

Made by `make proto` from the field catalogue (`libs/common/src/connectra_common/records/fields.py`); change that, not this page.

*Rule* is what a value given as JSON must be, *CSV column* where an import finds it and what it makes of the cell; both are explained
[below](#rules). A header may have any case, and spaces for `_`. *Filter* has the id and the label of a filter that users are offered;
its values are kept as records are written (stored) or read from the records (direct). *Search* names the conditions of
[VQL](vql.md) that a field takes; fields that take any also take `exists`, and facets. *Order* tells whether `order_by` takes it.
"""
COPIES = """\
## Of a contact's company

Contacts are searched by fields of their company under these names. They change with the company.
"""
RULES = {
    Rule.TEXT: f"at most {MAX_TEXT_CHARS} characters without control characters, kept as it is",
    Rule.LOWER: "as text, without spaces at both ends, in lower case",
    Rule.INTEGER: f"whole number from 0 to {MAX_INT64}",
    Rule.LIST: f"at most {MAX_LIST_ITEMS} texts of at most {MAX_ITEM_CHARS} characters, without control characters",
    Rule.UUID: "8-4-4-4-12 hexadecimal digits in lower case",
    Rule.PHONE: "its digits are kept, after a `+`; without a digit it is empty",
    Rule.EMAIL: f"`name@domain`, at most {MAX_EMAIL_CHARS} characters; kept in lower case",
    Rule.DOMAIN: "a domain such as `example.com`; kept in lower case",
    Rule.URL: "begins with `http://` or `https://` and has no white space; kept as it is",
    Rule.LINKEDIN: "begins with `http://` or `https://`, then `linkedin.com/` or `www.linkedin.com/`; kept as it is",
    Rule.LINKEDIN_LOWER: "as linkedin; kept in lower case",
}
CSV_RULES = {
    CsvRule.AS_IS: "kept as it is",
    CsvRule.LOWER: "in lower case",
    CsvRule.LIST: "items between commas, without spaces around them, in lower case; empty ones are dropped",
    CsvRule.INTEGER: "an amount such as `12`, `$5,000,000` or `1.5M`; without a digit it is empty",
    CsvRule.PHONE: "its digits, after a `+`; without a digit it is empty",
    CsvRule.DOMAIN: "the part of an e-mail address after the `@`, in lower case; of public mail providers it is empty",
}
_TYPES = {Type.INTEGER: "integer", Type.TEXT: "text", Type.LIST: "list of texts", Type.TIME: "time"}


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for entity in (COMPANY, CONTACT):
        parts += _fields(entity)
    parts += [COPIES, *_copies(), "## Rules\n", *_rules("rule", RULES)]
    parts += [
        "Of a CSV cell everything but letters and digits is removed from both ends, and white space inside becomes single spaces. Then:\n",
        *_rules("CSV rule", CSV_RULES),
    ]
    return "\n".join(parts).rstrip() + "\n"


def _fields(entity: Entity) -> Iterator[str]:
    yield f"## {entity.table.capitalize()}\n"
    rows = (
        (f"`{f.name}`", _TYPES[f.type], _rule(f), _csv(f), _filter(f), *_found_by(entity, f.name, f))
        for f in entity.fields
    )
    yield from table(("field", "type", "rule", "CSV column", "filter", "search", "order"), rows)


def _copies() -> Iterator[str]:
    copies = {name: field for name, field in indexed_fields(CONTACT).items() if CONTACT.by_name.get(name) is not field}
    rows = ((f"`{name}`", _TYPES[field.type], *_found_by(CONTACT, name, field)) for name, field in copies.items())
    return table(("name", "type", "search", "order"), rows)


def _rules(title: str, rules: dict[Any, str]) -> Iterator[str]:
    return table((title, ""), ((_words(rule), text) for rule, text in rules.items()))


def _rule(field: Field) -> str:
    return "given by the server" if field.read_only else _words(field.rule)


def _csv(field: Field) -> str:
    return f"`{field.csv_column}`, {_words(field.csv_rule)}" if field.csv_column else ""


def _words(rule: str) -> str:
    return rule.replace("_", " ")


def _filter(field: Field) -> str:
    if field.filter is None:
        return ""
    return f"{field.filter.id} {field.filter.label}, {'stored' if field.filter.stored else 'direct'}"


def _found_by(entity: Entity, name: str, field: Field) -> tuple[str, str]:
    """What of VQL takes the field: conditions, and whether there is an order by it. The validator is asked."""
    value = {Type.INTEGER: 1, Type.TIME: "2024-01-15"}.get(field.type, "text")
    texts = [
        kind
        for kind in ("exact", "shuffle", "substring")
        if _takes(entity, where={"text_matches": {"must": [_text(name, kind)]}})
    ]
    found = [f"`text_matches` ({', '.join(texts)})"] if texts else []
    if _takes(entity, where={"keyword_match": {"must": {name: value}}}):
        found.append("`keyword_match`")
    if _takes(entity, where={"range_query": {"must": {name: {"gte": value}}}}):
        found.append("`range_query`")
    return ", ".join(found), "yes" if _takes(entity, order_by=[{"order_by": name}]) else ""


def _text(name: str, kind: str) -> dict[str, str]:
    return {"filter_key": name, "text_value": "text", "search_type": kind}


def _takes(entity: Entity, **request: Any) -> bool:
    try:
        checked(entity, Vql.model_validate(request))
    except ValidationFailed:
        return False
    return True
