"""Tree × record → whether it meets each condition: what the index does with a document, done here with one record.

A record is a mapping by the names of the index (`company_name`, …), with the values of JSON: texts, whole numbers, lists, times in RFC
3339. One thing the index decides otherwise: of the words near one that is typed wrong it looks at fifty.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from connectra_common.records.fields import Entity, Field, Index, Rule
from connectra_common.search.alike import Alike, name_fields, nicknames, sounds
from connectra_common.search.folding import fold
from connectra_common.search.free_text import phone_fields, phrase_fields, searched_fields, uuid_fields
from connectra_common.search.mappings import indexed_fields
from connectra_common.search.words import UNSPACED, asked_words, ends_in_a_word, indexed_words, open_part
from connectra_common.vql.ast import (
    And,
    Condition,
    Domain,
    Equals,
    Exists,
    FreeText,
    Member,
    Node,
    Not,
    Or,
    Phrase,
    Prefix,
    Range,
    Substring,
    Word,
)

Record = Mapping[str, Any]


class Verdict(NamedTuple):
    """One condition of a query, and whether the record meets it. `excluded`: the query asks for records that do not."""

    condition: Condition
    met: bool
    excluded: bool


def verdicts(node: Node, entity: Entity, record: Record, *, excluded: bool = False) -> Iterator[Verdict]:
    """All conditions below a node, in the order of the request."""
    match node:
        case And(nodes) | Or(nodes):
            for child in nodes:
                yield from verdicts(child, entity, record, excluded=excluded)
        case Not(child):
            yield from verdicts(child, entity, record, excluded=not excluded)
        case _:
            yield Verdict(node, meets(node, entity, record), excluded)


def meets(node: Node, entity: Entity, record: Record) -> bool:
    """Whether the query finds the record, as far as this node goes."""
    match node:
        case And(nodes):
            return all(meets(child, entity, record) for child in nodes)
        case Or(nodes):
            return any(meets(child, entity, record) for child in nodes)
        case Not(child):
            return not meets(child, entity, record)
        case FreeText():
            return _has_text(node, record)
    field = indexed_fields(entity)[node.field]
    return _holds(node, field, values(record, node.field))


def values(record: Record, name: str) -> list[Any]:
    """What a record has in a field: the values of a list, or one, or none."""
    value = record.get(name)
    return value if isinstance(value, list) else [] if value is None or value == "" else [value]


def _holds(node: Condition, field: Field, there: Sequence[Any]) -> bool:
    same = _compared(field)
    match node:
        case Exists():
            return bool(there)
        case Equals(value=value):
            return same(value) in map(same, there)
        case Member(values=asked):
            return not {same(value) for value in asked}.isdisjoint(map(same, there))
        case Range(lower=lower, upper=upper):
            numbers = map(_millis if node.of_time else int, there)
            return any((lower is None or n >= lower) and (upper is None or n <= upper) for n in numbers)
        case Domain(text=text):
            hosts = (same(value).rpartition("@")[2] for value in there)
            return any(f".{host}".endswith(f".{same(text)}") for host in hosts)
        case Prefix(text=text, whole=True):
            return any(same(value).startswith(same(text)) for value in there)
        case Substring(text=text, whole=True):
            return any(same(text) in same(value) for value in there)
        case Substring(text=text):
            return any(fold(text) in fold(value) for value in there)
        case Phrase(text=text, slop=slop):
            return any(_has_phrase(value, text, slop) for value in there)
        case Word(text=text):
            joined = all if node.operator == "and" else any
            words = asked_words(text)
            return bool(words) and joined(
                _has_word(there, word, fuzzy=node.fuzzy) or any(_like(there, word, node.alike)) for word in words
            )
        case Prefix(text=text):
            return any(_begins(value, text) for value in there)
    raise TypeError(node)


def _compared(field: Field) -> Callable[[Any], Any]:
    """The form in which whole values of a field are compared."""
    if field.index in (Index.LONG, Index.DATE):
        return lambda value: value
    if field.rule in (Rule.UUID,) or field.index is Index.UUID:
        return str
    return fold if field.index is Index.TEXT or field.has_categories else _lower


def _lower(text: str) -> str:
    return str(text).lower()


def _millis(time: str) -> int:
    moment = datetime.fromisoformat(time) - datetime(1970, 1, 1, tzinfo=UTC)
    return (moment.days * 86_400 + moment.seconds) * 1000 + moment.microseconds // 1000


def _has_phrase(text: str, asked: str, slop: int = 0) -> bool:
    """Whether each word can be given a place such that places minus offsets in the phrase differ by at most `slop`."""
    phrase, there = asked_words(asked), indexed_words(text)
    if not phrase:
        return False
    places = [{word.place - n for word in there if word.text == wanted} for n, wanted in enumerate(phrase)]
    if slop == 0:
        return bool(set.intersection(*places))
    return any(
        all(any(low <= place <= low + slop for place in of_word) for of_word in places) for low in set.union(*places)
    )


def _has_word(texts: Sequence[str], wanted: str, *, fuzzy: bool = False) -> bool:
    # By the length of the word: https://www.elastic.co/guide/en/elasticsearch/reference/8.19/common-options.html#fuzziness
    allowed = 0 if not fuzzy or len(wanted) < 3 else 1 if len(wanted) < 6 else 2
    there = (word.text for text in texts for word in indexed_words(text))
    return any(word == wanted or (allowed > 0 and _edits(wanted, word, allowed)) for word in there)


def _like(texts: Sequence[str], wanted: str, kinds: Collection[Alike]) -> Iterator[tuple[str, Alike]]:
    """Words of names that are not this one but like it, and in which way."""
    names = nicknames(wanted) if "nickname" in kinds else frozenset()
    keys = sounds(wanted) if "sound" in kinds else frozenset()
    if names:
        there = dict.fromkeys(word.text for text in texts for word in indexed_words(text))
        yield from ((word, "nickname") for word in there if word in names)
    if keys:
        # The keys of a text are those of the words that a search for it would look for.
        there = dict.fromkeys(word for text in texts for word in asked_words(text))
        yield from ((word, "sound") for word in there if word != wanted and not keys.isdisjoint(sounds(word)))


def _edits(a: str, b: str, most: int) -> bool:
    """Whether so many insertions, deletions, replacements and swaps of neighbours make one word of the other."""
    if abs(len(a) - len(b)) > most:
        return False
    before, row = [0] * (len(b) + 1), list(range(len(b) + 1))
    for i, one in enumerate(a, 1):
        older, before, row = before, row, [i] + [0] * len(b)
        for j, other in enumerate(b, 1):
            row[j] = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (one != other))
            if i > 1 and j > 1 and one == b[j - 2] and a[i - 2] == other:
                row[j] = min(row[j], older[j - 2] + 1)
    return row[-1] <= most


def _begins(text: str, asked: str) -> bool:
    """Whether it has the words, and one that begins as the last of them; with a sign behind it, the last is whole as well."""
    words, there = asked_words(asked), {word.text for word in indexed_words(text)}
    if not words:
        return False
    whole = words[:-1] if ends_in_a_word(asked) else words
    if there.issuperset(whole) and any(word.startswith(words[-1]) for word in there):
        return True
    before, part = open_part(asked)
    return part != "" and there.issuperset(asked_words(before)) and any(word.startswith(part) for word in there)


def _has_text(node: FreeText, record: Record) -> bool:
    if any(_has_all(asked, node, record) for asked in (node.words, node.instead) if asked):
        return True
    phones = {phone for name in phone_fields(node.entity) for phone in values(record, name)}
    return not phones.isdisjoint(node.phones) or (
        node.uuid is not None and any(record.get(name) == node.uuid for name in uuid_fields(node.entity))
    )


def _has_all(asked: str, node: FreeText, record: Record) -> bool:
    """Whether every word, or a name like it, is in one of the texts, whichever; parts in scripts without blanks as phrases."""
    entity = node.entity
    if not asked_words(asked):
        return False
    texts = [text for name in searched_fields(entity) for text in values(record, name)]
    with_places = [text for name in phrase_fields(entity) for text in values(record, name)]
    parts = asked.split()
    spaced = " ".join(part for part in parts if not UNSPACED.search(part))
    names = [text for name in name_fields(entity) for text in values(record, name)]
    return all(_has_word(texts, word) or any(_like(names, word, node.alike)) for word in asked_words(spaced)) and all(
        any(_has_phrase(text, part) for text in with_places) for part in parts if UNSPACED.search(part)
    )


def places(node: FreeText, record: Record) -> dict[str, list[str]]:
    """Each word of a free text, and the fields that have it."""
    return {
        word: [name for name in searched_fields(node.entity) if _has_word(values(record, name), word)]
        for word in asked_words(node.words)
    }


class Likeness(NamedTuple):
    """A name of a record that is like a word, and in which way."""

    word: str
    field: str
    name: str
    by: Alike


def likenesses(node: Word | FreeText, record: Record) -> list[Likeness]:
    """By which other names a record has the words of a condition, as far as that asks for these."""
    if isinstance(node, FreeText):
        fields, asked = name_fields(node.entity), asked_words(f"{node.words} {node.instead or ''}")
    else:
        fields, asked = (node.field,), asked_words(node.text)
    return [
        Likeness(word, field, name, by)
        for word in dict.fromkeys(asked)
        for field in fields
        for name, by in _like(values(record, field), word, node.alike)
    ]
