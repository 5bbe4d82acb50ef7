"""How text is cut into words, as the index does it: its analysis, and the same in Python for who has to say why something matches.

A word is a run of letters and digits, with these signs in it:

    C++ C# F# A+     one or two letters with a sign that makes another word of them
    .NET             a dot before a word
    AT&T R&D         short parts joined by &; before another word a sign & is `and`
    acme-corp.com    what has dots or an @ is one word; the index has its parts beside it, and for a.b.com also b.com
    O'Neil           one word, oneil, and its parts beside it; d'équipe is found by equipe
    co-founder       its parts one after the other; the index has cofounder beside the first

Characters of scripts written without blanks (Chinese, Japanese, Thai, …) are words of their own: what is searched for is a phrase of them.
"""

import re
import unicodedata
from functools import cache
from typing import Any, NamedTuple

from connectra_common.search.folding import fold, mapping_rules

# Without blanks: Thai and Lao, Myanmar, Khmer, signs of Han, kana, Han with its extensions.
_UNSPACED = (
    *((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3005, 0x3007), (0x3040, 0x30FF), (0x31F0, 0x31FF)),
    *((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x323AF)),
)
# A run of such characters, each of which is a word.
UNSPACED = re.compile("[" + "".join(f"{chr(first)}-{chr(last)}" for first, last in _UNSPACED) + "]+")
# Parts joined by &, signs behind letters, all others with e-mail addresses, dots before words, single characters, a lone &. No text costs
# more than its length: what is tried in vain is bounded, what is not bounded is not tried twice.
_PATTERN = (
    r"[{W}]{{1,3}}+(?:&[{W}]{{1,3}}+)++(?![{W}@])"
    r"|[{W}]{{1,2}}+(?:\+\+|#|\+(?![{W}]))"
    r"|[{W}]++(?:[-'._][{W}]++)*+(?:[{W}!#$%'*+/=?^_{{|}}~&.-]{{0,63}}+@[{W}]++(?:[.-][{W}]++)*+)?+"
    r"|(?<![{W}.@])\.[{L}][{W}]++"
    r"|[{U}]"
    r"|&(?= {{0,4}}[{W}{U}])"
)
# One word, whatever other signs are in it.
_WHOLE = r"[.@&+#]"
# What the index has beside such words: the parts, the domain of an address, the parent of a domain, .net of asp.net.
_BESIDE = (r"([^.@'\-_]+)", r"@(.+)|^[^.@]+\.([^@]+\.[^@]+)$|.(\.net)$")


def analysis() -> dict[str, Any]:
    """Analyzers `words` (for the index), `asked_words` (for what is searched for), `trigrams` and those of domains, and the normalizers."""
    unspaced = "".join(f"\\x{{{first:x}}}-\\x{{{last:x}}}" for first, last in _UNSPACED)
    letters = r"\p{L}\p{M}\p{N}"
    classes = {"W": f"a-zA-Z0-9[{letters}&&[^{unspaced}]]", "L": r"\p{L}", "U": f"[{letters}&&[{unspaced}]]"}
    return {
        "char_filter": {"folded": {"type": "mapping", "mappings": list(mapping_rules())}},
        "tokenizer": {
            "words": {"type": "pattern", "pattern": _PATTERN.format(**classes), "group": 0},
            "trigram": {"type": "ngram", "min_gram": 3, "max_gram": 3},
            # What is behind the last @; what is longer is no domain, and the engine refuses words that are much longer.
            "host": {"type": "pattern", "pattern": r"(?<![^@])[^@]{1,255}+\z", "group": 0},
        },
        "filter": {
            "whole": {"type": "keyword_marker", "keywords_pattern": f".*{_WHOLE}.*"},
            "joined": {**_HYPHENS, "catenate_all": True},
            "parted": _HYPHENS,
            "beside": {"type": "pattern_capture", "preserve_original": True, "patterns": list(_BESIDE)},
            "no_apostrophe": {"type": "pattern_replace", "pattern": "'", "replacement": ""},
            "and": {"type": "pattern_replace", "pattern": "^&$", "replacement": "and"},
            # Of a.b.com: b.com and com beside it.
            "above": {"type": "pattern_capture", "preserve_original": True, "patterns": [r"\.(?=(.+))"]},
        },
        "analyzer": {
            "words": {
                "type": "custom",
                "char_filter": ["folded"],
                "tokenizer": "words",
                "filter": ["lowercase", "and", "whole", "joined", "beside", "no_apostrophe"],
            },
            "asked_words": {
                "type": "custom",
                "char_filter": ["folded"],
                "tokenizer": "words",
                "filter": ["lowercase", "and", "whole", "parted", "no_apostrophe"],
            },
            "trigrams": {
                "type": "custom",
                "char_filter": ["folded"],
                "tokenizer": "trigram",
                "filter": ["lowercase"],
            },
            **_domains("domain", []),
            **_domains("folded_domain", ["folded"]),
        },
        "normalizer": {
            "lower": {"type": "custom", "filter": ["lowercase"]},
            "folded": {"type": "custom", "char_filter": ["folded"], "filter": ["lowercase"]},
        },
    }


def _domains(name: str, char_filters: list[str]) -> dict[str, Any]:
    """Of an address or a domain: the domain and all that are above it; of what is searched for: that."""
    asked: dict[str, Any] = {
        "type": "custom",
        "char_filter": char_filters,
        "tokenizer": "host",
        "filter": ["lowercase"],
    }
    return {f"{name}s": asked | {"filter": ["lowercase", "above"]}, f"asked_{name}": asked}


# Cuts at hyphens and underscores only.
_HYPHENS = {
    "type": "word_delimiter_graph",
    "ignore_keywords": True,
    "generate_word_parts": True,
    "generate_number_parts": True,
    "split_on_case_change": False,
    "split_on_numerics": False,
    "stem_english_possessive": False,
    "type_table": ["' => ALPHANUM"],
}


class Word(NamedTuple):
    """A word of a text, in the form it is compared in, and its place."""

    text: str
    place: int


def indexed_words(text: str) -> list[Word]:
    """The words that the index has of a text; several may be at one place."""
    found = []
    place = 0
    for token in _tokens(text):
        parts = _parts(token)
        if len(parts) > 1:
            found += _at(place, "".join(parts))
        for part in parts:
            found += _at(place, part)
            place += 1
    return found


def asked_words(text: str) -> list[str]:
    """The words that a search for this text looks for, in order."""
    return [part.replace("'", "") for token in _tokens(text) for part in _parts(token)]


def ends_in_a_word(text: str) -> bool:
    """Whether its last word may go on: no sign stands behind it. Elasticsearch takes the last word of a beginning for a whole one else."""
    folded = fold(text)
    return any(found.end() == len(folded) for found in _tokenizer().finditer(folded))


def open_part(text: str) -> tuple[str, str]:
    """What is before the last part of a text, and that part, where it is that of a word with &: `r&` of R&D; else the text alone."""
    before, _, last = fold(text).rpartition(" ")
    return (before, last) if _OPEN.fullmatch(last) else (text, "")


_OPEN = re.compile(r"(?:[^\W_]{1,3}&)+")


def _tokens(text: str) -> list[str]:
    return ["and" if found == "&" else found for found in _tokenizer().findall(fold(text))]


def _parts(token: str) -> list[str]:
    return [token] if re.search(_WHOLE, token) else [part for part in re.split("[-_]", token) if part]


def _at(place: int, token: str) -> list[Word]:
    found = (match[match.lastindex or 0] for pattern in _BESIDE for match in re.finditer(pattern, token))
    beside = [part for part in found if part != token]
    return [Word(word.replace("'", ""), place) for word in (token, *beside)]


@cache
def _tokenizer() -> re.Pattern[str]:
    kinds = "".join(map(unicodedata.category, map(chr, range(_UNSPACED[-1][1] + 1))))[::2]
    spaced = without = kinds
    for first, last in _UNSPACED:
        spaced = spaced[:first] + "-" * (last + 1 - first) + spaced[last + 1 :]
        without = without[:first] + without[first : last + 1].lower() + without[last + 1 :]
    classes = {"W": _ranges("LMN", spaced), "L": _ranges("L", kinds), "U": _ranges("lmn", without)}
    return re.compile(_PATTERN.format(**classes))


def _ranges(wanted: str, kinds: str) -> str:
    """The characters of these kinds, as ranges of a character class.

    Args:
        kinds: the first letter of the Unicode category of each character, or another sign for it.
    """
    found = (run.span() for run in re.finditer(f"[{wanted}]+", kinds))
    return "".join(f"{chr(first)}-{chr(end - 1)}" for first, end in found)
