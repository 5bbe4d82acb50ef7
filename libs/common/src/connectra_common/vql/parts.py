"""Conditions on parts of values: words, substrings, beginnings, domains."""

import re

from connectra_common.records.fields import Index, Rule, Type
from connectra_common.records.values import tidy
from connectra_common.records.values.phones import decimal_digits
from connectra_common.search.alike import kinds
from connectra_common.search.folding import fold
from connectra_common.search.words import UNSPACED
from connectra_common.vql.ast import And, Domain, Node, Or, Phrase, Prefix, Substring, Word
from connectra_common.vql.model import TextMatch
from connectra_common.vql.reading import Target, Wrong
from connectra_common.vql.values import read_domain, shown
from connectra_common.vql.whole import equals

# What the index may take for a word.
_WORD = re.compile(r"[\u2e80-\U0003ffff]|\w+|[^\w\s]")


def text_match(of: Target, asked: TextMatch) -> Node:
    """A condition of `text_matches`.

    Raises:
        Wrong: the field has no text, or not one that the search type can search, or the text is empty, too long or too short.
    """
    is_substring, alike = asked.search_type == "substring", kinds(asked.alike)
    if of.is_number or of.field.index is Index.UUID or of.field.type is Type.LIST:
        raise Wrong(f"{of.given} is not a text field; use {'range_query' if of.is_number else 'keyword_match'}")
    if of.field.index is not Index.TEXT and not of.field.also_text and not is_substring:
        raise Wrong(f"{of.given} is not a text field; use keyword_match or substring")
    if alike and not (of.field.names_people and asked.search_type == "shuffle"):
        raise Wrong("`alike` is for names of people (first_name, last_name) with search_type shuffle")
    text = _checked(of, asked.text_value)
    if is_substring:
        nodes = tuple(_substring(of, part) for part in text.split())
        return nodes[0] if len(nodes) == 1 else Or(nodes) if asked.operator == "or" else And(nodes)
    if asked.search_type == "exact":
        return Phrase(of.path, of.name, text, asked.slop)
    of.amount.words += (words := len(_WORD.findall(text)))
    of.amount.fuzzy_words += words if asked.fuzzy or alike else 0
    return Word(of.path, of.name, text, asked.operator, asked.fuzzy, alike)


def contains(of: Target, value: object) -> Node:
    """Part of a text or of a whole value, one of a list.

    Raises:
        Wrong: a number or date has no parts, or the value is no text.
    """
    text = _text(of, "contains", value)
    if of.field.type is Type.LIST:
        return equals(of, text)
    if of.field.index is not Index.TEXT:
        return _part(of, text)
    if _trigrams(of, text):
        return _of_text(of, text)
    return Phrase(of.path, of.name, text) if UNSPACED.fullmatch(text) else _begins(of, text)


def prefix(of: Target, value: object) -> Node:
    """A word of a text begins so; a whole value does.

    Raises:
        Wrong: a number or date has no parts, or the value is no text.
    """
    text = _text(of, "prefix", value)
    if of.field.index is Index.TEXT:
        return _begins(of, text)
    _check_size(of, text)
    if of.field.rule is Rule.UUID:
        return Prefix(of.path, of.name, text.lower(), whole=True)
    if of.field.rule is not Rule.PHONE:
        return Prefix(of.path, of.name, text, whole=True)
    digits = _digits(text)
    if text.startswith("+") or digits.startswith("00"):
        return Prefix(of.path, of.name, f"+{digits.removeprefix('00')}", whole=True)
    return Or(tuple(Prefix(of.path, of.name, begin, whole=True) for begin in (f"+{digits}", digits)))


def domain(of: Target, value: object) -> Node:
    """An e-mail address or a domain is of this domain, or of one below it.

    Raises:
        Wrong: the field has no domain, or the value is none.
    """
    if of.field.rule not in (Rule.EMAIL, Rule.DOMAIN):
        raise Wrong(f"{of.given} has no domain; e-mail addresses and domains of companies have one")
    text = _text(of, "domain", value)
    try:
        name = read_domain(text)
    except ValueError as error:
        raise Wrong(str(error)) from None
    of.amount.scans += 1
    _check_size(of, name)
    return Domain(of.path, of.name, name)


def _text(of: Target, operator: str, value: object) -> str:
    if of.is_number:
        noun = "number" if of.field.index is Index.LONG else "date"
        raise Wrong(f"{of.given} is a {noun}, which has no parts; use eq, gt, gte, lt or lte")
    if not isinstance(value, str):
        raise Wrong(f"{operator} needs a text as `value`, not {_kind(value)}")
    return _checked(of, value)


def _checked(of: Target, given: str) -> str:
    if len(given) > (most := of.amount.limits.text_chars):
        raise Wrong(f"the text has {len(given)} characters; at most {most} are allowed")
    if not (text := tidy(given)):
        raise Wrong("the text is empty")
    return text


def _substring(of: Target, part: str) -> Node:
    if not _trigrams(of, part) and not UNSPACED.fullmatch(part):
        least = of.amount.limits.substring_chars
        problem = f"{part!r} is too short for a substring; at least {least} characters are needed"
        raise Wrong(f"{problem} (`shuffle` finds whole words, `contains` in `filters` words that begin so)")
    if of.field.index is not Index.TEXT:
        return _part(of, part)
    return _of_text(of, part) if _trigrams(of, part) else Phrase(of.path, of.name, part)


def _trigrams(of: Target, text: str) -> bool:
    """Whether the index has trigrams for it: of the folded text, which lacks vowel points and has two letters for ß."""
    return len(fold(text)) >= of.amount.limits.substring_chars


def _of_text(of: Target, text: str) -> Node:
    of.amount.words += 1
    return Substring(of.path, of.name, text)


def _part(of: Target, text: str) -> Node:
    of.amount.scans += 1
    _check_size(of, text)
    if of.field.rule is Rule.PHONE:
        text = _digits(text)
    return Substring(of.path, of.name, text.lower() if of.field.rule is Rule.UUID else text, whole=True)


def _check_size(of: Target, text: str) -> None:
    if (size := len(text.encode())) > (most := of.amount.limits.part_bytes):
        raise Wrong(f"the part of a whole value has {size} bytes; at most {most} are allowed")


def _begins(of: Target, text: str) -> Node:
    of.amount.words += len(_WORD.findall(text))
    return Prefix(of.path, of.name, text)


def _digits(text: str) -> str:
    if digits := decimal_digits(text):
        return digits
    raise Wrong(f"{shown(text)} has no digits; conditions on phones compare digits")


def _kind(value: object) -> str:
    if isinstance(value, list):
        return "a list; for one of several values use `in`"
    return "nothing" if value is None else "true or false" if isinstance(value, bool) else "a number"
