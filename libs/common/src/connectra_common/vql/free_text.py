"""The words of `q`, and what else may have been typed there: a uuid, a phone number."""

import re

from connectra_common.records.fields import Entity
from connectra_common.records.ids import canonical_uuid, is_uuid
from connectra_common.records.values import tidy
from connectra_common.records.values.phones import phone_spellings
from connectra_common.search.alike import Alike
from connectra_common.search.words import asked_words
from connectra_common.vql.ast import FreeText
from connectra_common.vql.limits import Limits
from connectra_common.vql.reading import Wrong
from connectra_common.vql.values import shown

# What may be a phone number, if it has enough digits.
_PHONE, _PHONE_DIGITS = re.compile(r"[+(\d][\d ()/.+-]*"), 6


def free_text(entity: Entity, path: str, given: str, limits: Limits, alike: tuple[Alike, ...] = ()) -> FreeText:
    """All words are somewhere in the record.

    Raises:
        Wrong: it has no words, or too many.
    """
    if len(given) > (most := limits.text_chars):
        raise Wrong(f"the text has {len(given)} characters; at most {most} are allowed")
    if not (text := tidy(given)):
        raise Wrong("the text is empty")
    uuid = canonical_uuid(text)
    words, is_phone = asked_words(text), _PHONE.fullmatch(text) and sum(map(str.isdecimal, text)) >= _PHONE_DIGITS
    if not words and not is_phone:
        raise Wrong(f"{shown(text)} has no word to search for")
    if len(words) > (most := limits.free_words):
        raise Wrong(f"{len(words)} words; at most {most} are allowed")
    phones = tuple(phone_spellings(text)) if is_phone else ()
    return FreeText(path, "q", entity, text, uuid if is_uuid(uuid) else None, phones, None, alike)
