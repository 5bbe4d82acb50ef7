"""Names of people that are like others: nicknames, which a list knows, and names that sound the same, by keys of their sound.

Bob is a nickname of Robert, by the list of `nicknames` (English); both find each other, not what else either is short for. Meyer and Mayr
have a key in common, by Double Metaphone, which has two for a word that is spoken in two ways. Keys are computed when a record is indexed,
for each word of a name; only words of Latin letters have one.
"""

from collections.abc import Iterable
from functools import cache
from typing import Literal

from doublemetaphone import doublemetaphone
from nicknames import NickNamer

from connectra_common.records.fields import Entity
from connectra_common.records.remembered import remembered
from connectra_common.search.words import asked_words

Alike = Literal["nickname", "sound"]
# Lee, Lou and Leah have one key of one sound, and so have too many others.
LEAST_SOUNDS = 2


def kinds(asked: Iterable[Alike] | None) -> tuple[Alike, ...]:
    """Each once, in one order."""
    return tuple(sorted(set(asked or ())))


@cache
def name_fields(entity: Entity) -> tuple[str, ...]:
    """Fields that have names of people."""
    return tuple(field.name for field in entity.fields if field.names_people)


def sound_field(name: str) -> str:
    """The Elasticsearch field that has the keys of a field's words."""
    return f"{name}_sound"


@remembered(32_768)
def sound_keys(text: str) -> tuple[str, ...]:
    """The keys of all words of a name, as the index has them."""
    words = [text.lower()] if text.isascii() and text.isalpha() else asked_words(text)
    return tuple(sorted({key for word in words for key in sounds(word)}))


def sounds(word: str) -> frozenset[str]:
    """The keys of one word as it is compared; none of one that is too short, or not of Latin letters."""
    if not (word.isascii() and word.isalpha()):
        return frozenset()
    return frozenset(key for key in doublemetaphone(word) if len(key) >= LEAST_SOUNDS)


def nicknames(word: str) -> frozenset[str]:
    """Names that this one is short for, or that are short for it."""
    known = _known()
    return frozenset(known.nicknames_of(word) | known.canonicals_of(word))


@cache
def _known() -> NickNamer:
    return NickNamer()
