"""Conditions × field catalogue → nodes of the tree, and everything that is wrong with them."""

import re
from collections.abc import Callable, Mapping, Sequence

from connectra_common.errors import FieldViolation
from connectra_common.records.fields import CONTACT, Entity, Field, Index, Rule, Type
from connectra_common.records.values import tidy
from connectra_common.requests import hinted
from connectra_common.search.mappings import indexed_fields
from connectra_common.vql.ast import (
    And,
    Equals,
    Exists,
    Member,
    Node,
    Or,
    Phrase,
    Prefix,
    Range,
    Scalar,
    Substring,
    Suffix,
    Word,
)
from connectra_common.vql.limits import Limits
from connectra_common.vql.model import Range as Bounds
from connectra_common.vql.model import TextMatch, Values
from connectra_common.vql.values import Span, as_text, read_domain, read_moment, read_number, shown, spellings

# Of the fields of a contact's company in conditions, and in what else names a field.
COMPANY_PREFIX = "company."
BOUNDS = ("gte", "gt", "lte", "lt")
NUMBERS = (Index.LONG, Index.DATE)
# Scripts written without blanks, whose characters the index has as words.
_IDEOGRAPHS = re.compile(r"[\u3041-\u309f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+")
# What the index may take for a word.
_WORD = re.compile(r"[\u2e80-\U0003ffff]|\w+|[^\w\s]")
# Refused conditions are this; a tree with one is thrown away.
_REFUSED: Node = And(())


class Conditions:
    """Makes the nodes of one query; `violations` says at the end what is wrong with them."""

    def __init__(self, entity: Entity, limits: Limits) -> None:
        self.fields, self.found = indexed_fields(entity), list[FieldViolation]()
        self._entity, self._limits = entity, limits
        self._unknown: list[tuple[str, str]] = []
        self._count = self._words = self._fuzzy_words = self._scans = 0

    def violations(self) -> list[FieldViolation]:
        """Everything that is wrong with the conditions so far, and with all of them together."""
        limits = self._limits
        counted = (
            (self._count, limits.clauses, "conditions"),
            (self._words, limits.words, "words and dates in all conditions"),
            (self._fuzzy_words, limits.fuzzy_words, "words with `fuzzy`"),
            (self._scans, limits.scans, "parts to look for in whole values (email, city …)"),
        )
        return [
            *self.found,
            *hinted(self._unknown, sorted(self.fields), "where"),
            *(
                FieldViolation.at("where", f"{number} {what}; at most {most} are allowed")
                for number, most, what in counted
                if number > most
            ),
        ]

    def name(self, given: str) -> str:
        """The field's name in the index: `company.name` is `company_name`."""
        if self._entity is not CONTACT or not given.startswith(COMPANY_PREFIX):
            return given
        name = given.removeprefix(COMPANY_PREFIX)
        return "company_id" if name == "uuid" else f"company_{name}"

    def text(self, path: str, asked: TextMatch) -> Node:
        """A condition of `text_matches`."""
        if (known := self._known(path, asked.filter_key)) is None:
            return _REFUSED
        name, field = known
        text = self._text(path, asked.text_value)
        if not _takes_texts(field):
            takes = "range_query" if field.index in NUMBERS else "keyword_match"
            return self._refused(path, f"{asked.filter_key} is not a text field; use {takes}")
        if text is None:
            return _REFUSED
        if asked.search_type == "substring":
            return self._substrings(path, name, field, text, asked.operator)
        if field.index is not Index.TEXT and not field.also_text:
            return self._refused(path, f"{asked.filter_key} is not a text field; use keyword_match or substring")
        if asked.search_type == "exact":
            return Phrase(path, name, text, asked.slop)
        self._words += (words := len(_WORD.findall(text)))
        self._fuzzy_words += words if asked.fuzzy else 0
        return Word(path, name, text, asked.operator, asked.fuzzy)

    def equals(self, path: str, given: str, asked: Values | None) -> Node:
        """The whole value is one of these."""
        if (known := self._known(path, given)) is None:
            return _REFUSED
        name, field = known
        values = asked if isinstance(asked, list) else [] if asked is None else [asked]
        if asked is None:
            return self._refused(path, "needs a `value`; `exists` and `nexists` ask whether there is one")
        if not values:
            return self._refused(path, "the list is empty; give at least one value")
        if len(values) > (most := self._limits.terms):
            return self._refused(path, f"{len(values)} values; at most {most} are allowed")
        if field.index in NUMBERS:
            return self._numbers(path, name, field, values)
        found: dict[str | int, None] = {}
        for value in values:
            if len(text := as_text(value)) > (most := self._limits.value_chars):
                return self._refused(path, f"a value has {len(text)} characters; at most {most} are allowed")
            found |= dict.fromkeys(spellings(value, field.rule))
        return _one_of(path, name, list(found))

    def range(self, path: str, given: str, asked: Bounds) -> Node:
        """Within bounds, of which the tighter ones count."""
        bounds = {name: value for name in BOUNDS if (value := getattr(asked, name)) is not None}
        return self._bounded(path, given, bounds)

    def bound(self, path: str, given: str, name: str, value: Values | None) -> Node:
        """Beyond one bound: gte, gt, lte or lt."""
        if isinstance(value, list):
            self._count += 1
            return self._refused(path, f"{name} needs one value, not a list")
        return self._bounded(path, given, {} if value is None else {name: value})

    def within(
        self, path: str, name: str, field: Field, bounds: Mapping[str, Scalar | None], found: list[FieldViolation]
    ) -> Range | None:
        """A range of a field that is known; None when it is refused, and in `found` why."""
        if field.index not in NUMBERS:
            found.append(FieldViolation.at(path, f"{name} is neither a number nor a date; use keyword_match"))
            return None
        asked = {bound: value for bound, value in bounds.items() if value is not None}
        if not asked:
            found.append(FieldViolation.at(path, "give at least one of gte, gt, lte, lt"))
            return None
        lower, upper = [], []
        for bound, value in asked.items():
            try:
                first, last = _reader(field)(value)
            except ValueError as error:
                found.append(FieldViolation.at(path, f"{bound}: {error}"))
                continue
            if bound in ("gte", "gt"):
                lower.append(first if bound == "gte" else last + 1)
            else:
                upper.append(last if bound == "lte" else first - 1)
        return Range(path, name, max(lower, default=None), min(upper, default=None), field.index is Index.DATE)

    def _bounded(self, path: str, given: str, bounds: Mapping[str, Scalar | None]) -> Node:
        if (known := self._known(path, given)) is None:
            return _REFUSED
        return self.within(path, *known, bounds, self.found) or _REFUSED

    def contains(self, path: str, given: str, value: object) -> Node:
        """Part of a text or of a whole value, one of a list."""
        if (known := self._known(path, given)) is None:
            return _REFUSED
        name, field = known
        if field.index in NUMBERS:
            return self._refused(path, f"{given} is a {_noun(field)}, which has no parts; use eq, gt, gte, lt or lte")
        if (text := self._asked_text(path, "contains", value)) is None:
            return _REFUSED
        if field.type is Type.LIST:
            return self.equals(path, given, [text])
        if field.index is not Index.TEXT:
            return self._part(path, name, field, text)
        if len(text) >= self._limits.substring_chars:
            return self._substring(path, name, text)
        return Phrase(path, name, text) if _IDEOGRAPHS.fullmatch(text) else self._prefix(path, name, text)

    def prefix(self, path: str, given: str, value: object) -> Node:
        """A word of a text begins so; a whole value does."""
        if (known := self._known(path, given)) is None:
            return _REFUSED
        name, field = known
        if field.index in NUMBERS:
            return self._refused(path, f"{given} is a {_noun(field)}, which has no prefix; use eq, gt, gte, lt or lte")
        if (text := self._asked_text(path, "prefix", value)) is None:
            return _REFUSED
        if field.index is Index.TEXT:
            return self._prefix(path, name, text)
        if field.rule is Rule.UUID:
            return Prefix(path, name, text.lower(), whole=True)
        if field.rule is not Rule.PHONE:
            return Prefix(path, name, text, whole=True)
        if not (digits := _digits(text)):
            return self._refused(path, f"{shown(text)} has no digits; conditions on phones compare digits")
        begins = [f"+{digits}", digits]
        if text.startswith("+") or digits.startswith("00"):
            begins = [f"+{digits.removeprefix('00')}"]
        return _any_of([Prefix(path, name, begin, whole=True) for begin in begins])

    def domain(self, path: str, given: str, value: object) -> Node:
        """An e-mail address or a domain of this domain, or of one below it."""
        if (known := self._known(path, given)) is None:
            return _REFUSED
        name, field = known
        if field.rule not in (Rule.EMAIL, Rule.DOMAIN):
            have = ", ".join(n for n, f in self.fields.items() if f.rule in (Rule.EMAIL, Rule.DOMAIN))
            return self._refused(path, f"{given} has no domain; fields that have one: {have}")
        if (text := self._asked_text(path, "domain", value)) is None:
            return _REFUSED
        try:
            domain = read_domain(text)
        except ValueError as error:
            return self._refused(path, str(error))
        self._scans += 1
        at = Suffix(path, name, f"@{domain}") if field.rule is Rule.EMAIL else Equals(path, name, domain)
        return Or((at, Suffix(path, name, f".{domain}")))

    def exists(self, path: str, given: str) -> Node:
        """The field has a value."""
        return _REFUSED if (known := self._known(path, given)) is None else Exists(path, known[0])

    def _known(self, path: str, given: str) -> tuple[str, Field] | None:
        self._count += 1
        name = self.name(given)
        if (field := self.fields.get(name)) is not None:
            return name, field
        if given in self._entity.by_name:
            self._refused(path, f"{given} cannot be searched; docs/fields.md says which fields can")
        else:
            self._unknown.append((path, given))
        return None

    def _refused(self, path: str, problem: str) -> Node:
        self.found.append(FieldViolation.at(path, problem))
        return _REFUSED

    def _asked_text(self, path: str, operator: str, value: object) -> str | None:
        if isinstance(value, str):
            return self._text(path, value)
        what = "a list; for one of several values use `in`" if isinstance(value, list) else _kind(value)
        self._refused(path, f"{operator} needs a text as `value`, not {what}")
        return None

    def _text(self, path: str, value: str) -> str | None:
        if len(value) > (most := self._limits.text_chars):
            self._refused(path, f"the text has {len(value)} characters; at most {most} are allowed")
        elif text := tidy(value):
            return text
        else:
            self._refused(path, "the text is empty")
        return None

    def _substrings(self, path: str, name: str, field: Field, text: str, operator: str) -> Node:
        parts = text.split()
        least = self._limits.substring_chars
        short = [part for part in parts if len(part) < least and not _IDEOGRAPHS.fullmatch(part)]
        if short:
            problem = f"{short[0]!r} is too short for a substring; at least {least} characters are needed"
            way = "`shuffle` finds whole words, `contains` in `filters` words that begin so"
            return self._refused(path, f"{problem} ({way})")
        nodes = [
            self._part(path, name, field, part)
            if field.index is not Index.TEXT
            else self._substring(path, name, part)
            if len(part) >= least
            else Phrase(path, name, part)
            for part in parts
        ]
        if len(nodes) == 1:
            return nodes[0]
        return Or(tuple(nodes)) if operator == "or" else And(tuple(nodes))

    def _substring(self, path: str, name: str, text: str) -> Node:
        self._words += 1
        return Substring(path, name, text)

    def _part(self, path: str, name: str, field: Field, text: str) -> Node:
        self._scans += 1
        if field.rule is Rule.PHONE and not (text := _digits(given := text)):
            return self._refused(path, f"{shown(given)} has no digits; conditions on phones compare digits")
        return Substring(path, name, text.lower() if field.rule is Rule.UUID else text, whole=True)

    def _prefix(self, path: str, name: str, text: str) -> Node:
        self._words += len(_WORD.findall(text))
        return Prefix(path, name, text)

    def _numbers(self, path: str, name: str, field: Field, values: Sequence[Scalar]) -> Node:
        spans: list[Span] = []
        for value in values:
            try:
                spans.append(_reader(field)(value))
            except ValueError as error:
                return self._refused(path, str(error))
        if field.index is Index.DATE:
            self._words += len(spans)
            return _any_of([Range(path, name, *span, of_time=True) for span in dict.fromkeys(spans)])
        # A number with a fraction is equal to no whole one.
        return _one_of(path, name, list(dict.fromkeys(first for first, last in spans if first == last)))


def _takes_texts(field: Field) -> bool:
    return field.index not in NUMBERS and field.index is not Index.UUID and field.type is not Type.LIST


def _reader(field: Field) -> Callable[[Scalar | None], Span]:
    return read_number if field.index is Index.LONG else read_moment


def _one_of(path: str, name: str, values: Sequence[str | int]) -> Node:
    if not values:
        return Or(())
    return Equals(path, name, values[0]) if len(values) == 1 else Member(path, name, tuple(values))


def _any_of(nodes: Sequence[Node]) -> Node:
    return nodes[0] if len(nodes) == 1 else Or(tuple(nodes))


def _digits(text: str) -> str:
    return "".join([c for c in text if c.isdecimal()])


def _noun(field: Field) -> str:
    return "number" if field.index is Index.LONG else "date"


def _kind(value: object) -> str:
    return "nothing" if value is None else "true or false" if isinstance(value, bool) else "a number"
