"""What counts as the same text: one table of characters, for the index, for queries, and for what is compared here.

Case, accents, compatibility forms (full-width letters, ligatures, superscripts), the kinds of apostrophes, hyphens and blanks, vowel points
of Hebrew and Arabic, and invisible characters make no difference. Signs that make another letter in their script (Devanagari, Thai, …) do.
The index folds before it cuts text into words or trigrams, so that a letter that folds to two (ß, æ) is found as either.
"""

import unicodedata
from collections.abc import Iterator
from functools import cache

# Marks that are dropped, also as a part of one character: Latin, Greek and Cyrillic accents, Arabic hamza and maddah above and below.
_ACCENTS = (*range(0x0300, 0x0370), *range(0x0653, 0x0656))
# Hebrew points, Arabic vowels and lengthening, soft hyphen, zero-width characters, variation selectors.
_DROPPED = (
    *(*range(0x0591, 0x05BE), 0x05BF, 0x05C1, 0x05C2, 0x05C4, 0x05C5, 0x05C7),
    *(*range(0x064B, 0x0653), 0x0640, 0x0670),
    *(0x00AD, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2065), *range(0xFE00, 0xFE10), 0xFEFF),
)
_ALIKE = {
    "'": "‘’‚‛ʹʻʼʽ′`´ˈ׳＇",
    '"': "“”„‟″״",
    "-": "‐‑‒–—―−⁃֊－",
    " ": "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000",
}
_SIGNS = {one: plain for plain, others in _ALIKE.items() for one in others}
# Letters that Unicode does not take apart.
_LETTERS = {
    "ß": "ss",
    "æ": "ae",
    "œ": "oe",
    "þ": "th",
    "ƕ": "hv",
    "ĸ": "q",
    **dict.fromkeys("əǝ", "a"),
    **dict.fromkeys("ƀɓƃ", "b"),
    **dict.fromkeys("ƈ", "c"),
    **dict.fromkeys("ðđɖɗƌ", "d"),
    **dict.fromkeys("ɛ", "e"),
    **dict.fromkeys("ƒ", "f"),
    **dict.fromkeys("ɠ", "g"),
    **dict.fromkeys("ħ", "h"),
    **dict.fromkeys("ıɨɩ", "i"),
    **dict.fromkeys("ƙ", "k"),
    **dict.fromkeys("łƚ", "l"),
    **dict.fromkeys("ŋɲƞ", "n"),
    **dict.fromkeys("øɔɵ", "o"),
    **dict.fromkeys("ƥ", "p"),
    **dict.fromkeys("ŧƭƫʈ", "t"),
    **dict.fromkeys("ʋ", "v"),
    **dict.fromkeys("ƴ", "y"),
    **dict.fromkeys("ƶ", "z"),
    "ς": "σ",
}
# Where scripts with case, accents or compatibility forms are. ASCII is left to the lower case of Elasticsearch.
_BLOCKS = ((0x80, 0x600), (0x620, 0x6D4), (0x10A0, 0x1100), (0x13A0, 0x1400), (0x1C80, 0x2C00), (0x2C00, 0x2E00), (0xA640, 0xA7FF),
           (0xAB30, 0xABC0), (0xFB00, 0xFB07), (0xFF01, 0xFFF0))  # fmt: skip


@cache
def table() -> dict[str, str]:
    """Character to what it is folded to, beyond ASCII."""
    found = dict(_SIGNS)
    found |= {chr(code): "" for code in (*_ACCENTS, *_DROPPED)}
    for first, last in _BLOCKS:
        for code in range(first, last):
            one = chr(code)
            if one not in found and (folded := _folded(one)) != one:
                found[one] = folded
    return found


def _folded(one: str) -> str:
    # The half-width kana are composed again; what else is taken apart loses its accents.
    apart = unicodedata.normalize("NFKC" if "\uff61" <= one <= "\uff9f" else "NFKD", one)
    base = "".join(c for c in apart.lower() if ord(c) not in _ACCENTS)
    if unicodedata.combining(base[:1] or "x") or (len(base) > 1 and any(map(unicodedata.combining, base))):
        return one  # a letter of its own in its script
    return "".join(_LETTERS.get(c) or _SIGNS.get(c, c) for c in base).strip() or one


@cache
def _translation() -> dict[int, str]:
    ascii_case = {ord(c): c.lower() for c in map(chr, range(0x41, 0x5B))}
    return ascii_case | {ord(one): folded for one, folded in table().items()}


def fold(text: str) -> str:
    """The text as it is compared: the index does the same with what is stored."""
    return unicodedata.normalize("NFC", text).translate(_translation()).lower()


def mapping_rules() -> Iterator[str]:
    """The table as rules of Elasticsearch's `mapping` character filter."""
    for one, folded in sorted(table().items()):
        yield f"{_escaped(one)} => {_escaped(folded)}"


def _escaped(text: str) -> str:
    return "".join(f"\\u{ord(c):04x}" for c in text)
