"""Texts: as they are written, in one Unicode form, without what nobody sees."""

import re
import unicodedata

from connectra_common.records.limits import MAX_TEXT_CHARS
from connectra_common.records.values.refused import Refused

# Control and format characters and fillers, white space excepted. The joiners hold together emoji and letters of many scripts; tag
# characters, which are the rest of a flag, follow an emoji.
_UNSEEN = (
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b\u200e\u200f"
    "\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb"
)
_BESIDE_JOINER = rf"[^\x00-\x7f\s\u200c\u200d{_UNSEEN}]"
_INVISIBLE = re.compile(
    rf"[{_UNSEEN}]+"
    rf"|(?<!{_BESIDE_JOINER})[\u200c\u200d]|[\u200c\u200d](?!{_BESIDE_JOINER})"
    r"|(?<![\U0001f3f4\U000e0020-\U000e007f])[\U000e0000-\U000e007f]+"
)


def tidy(text: str) -> str:
    """NFC, white space collapsed and trimmed, invisible and control characters out; nothing else is cut."""
    if text.isascii():
        if text.isprintable():
            return text if "  " not in text and text[:1] != " " != text[-1:] else " ".join(text.split())
        return " ".join(_INVISIBLE.sub("", text).split())
    while True:
        text = _INVISIBLE.sub("", text)
        text = unicodedata.normalize("NFC", " ".join(text.split()))
        # Removing one character may leave another without its neighbour.
        if not _INVISIBLE.search(text):
            return text


def lower(text: str) -> str:
    """Lower case, character by character: no rule for a final sigma, no dot split off a Turkish İ."""
    if text.isascii():
        return text.lower()
    # In no other capital do `lower` and the rule differ.
    lowered = "".join([char.lower()[0] for char in text]) if "Σ" in text or "İ" in text else text.lower()
    # A small letter may have a composed form where the capital has none.
    return unicodedata.normalize("NFC", lowered)


def read_text(text: str) -> str | None:
    """A text as it is stored.

    Raises:
        Refused: too long.
    """
    value = tidy(text)
    if len(value) > MAX_TEXT_CHARS:
        raise Refused(f"has {len(value)} characters; at most {MAX_TEXT_CHARS} are allowed")
    return value or None


def read_lower(text: str) -> str | None:
    """As `read_text`, in lower case."""
    return lower(value) if (value := read_text(text)) else None


# What people and tools write where they have nothing.
_WORDS = """
    n/a na n.a. n.a n\\a #n/a #na #value! #ref! #name? none null nil nan undefined unavailable unknown missing blank empty tbd tba no
    not-available notavailable noemail no-email nomail private hidden keine keiner k.a. k.a unbekannt entfällt ninguno ninguna desconocido
    aucun aucune inconnu nessuno sconosciuto nenhum nenhuma desconhecido geen onbekend brak ingen нет 无 無 没有 なし 없음
"""
_PHRASES = """
    not available|not applicable|not provided|not found|not given|no email|no e-mail|no mail|no data|no value|keine angabe
    nicht vorhanden|nicht bekannt|non disponible|non renseigné|no disponible|não disponível|brak danych|нет данных
"""
_NOTHING = frozenset(_WORDS.split()).union(
    phrase for line in _PHRASES.split("\n") for phrase in line.strip().split("|")
)


def is_nothing(text: str) -> bool:
    """Whether a value only says that there is none: `n/a`, `none`, `-`, `(unavailable)`; never a tidy text of a text field."""
    core = text.strip(" \t()[]<>{}'\"`´*.,;:!?-–—_/\\|=+~•…")
    return not core or core.casefold() in _NOTHING or text.casefold() in _NOTHING
