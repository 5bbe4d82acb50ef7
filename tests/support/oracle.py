"""VQL evaluated in plain Python over plain records, as docs/vql.md describes it: what a search must find.

It shares no code with the service. A record is a dict by the names of the index (`company_name`, …); times are naive datetimes in UTC.
"""

import re
import unicodedata
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

Record = dict[str, Any]
Json = dict[str, Any]

TEXTS = frozenset(
    f"{prefix}{name}"
    for prefix, names in (
        ("", ("first_name", "last_name", "title", "name", "address", "website", "normalized_domain")),
        ("company_", ("name", "address", "website", "normalized_domain")),
    )
    for name in names
)
PHONES = ("mobile_phone",)
TIMES = ("created_at", "updated_at")
IDENTIFIERS = ("email", "linkedin_url", "company_linkedin_url", "company_id", *PHONES)
# How the index takes words apart: characters of scripts without blanks are words of their own; dots, hyphens and apostrophes may be within.
_IDEOGRAPH = r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff]"
_LETTER = rf"(?:(?!{_IDEOGRAPH})[^\W_]|[\u0900-\u0963])"
_WORDS = re.compile(rf"{_IDEOGRAPH}|{_LETTER}+(?:[-.']{_LETTER}+)*")
_LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ı": "i", "ς": "σ", "ß": "ss", "’": "'"})
# Names that stand for one another, and such that sound the same, as far as the records of tests have any.
_NICKNAMES = ({"bob", "robert"}, {"bob", "rob"}, {"robert", "rob"}, {"william", "will"}, {"katherine", "kate"})
_SOUNDS = (
    *({"meyer", "mayr", "meier", "maier", "moore"}, {"schmidt", "schmitt"}, {"schmidt", "smith"}, {"schmitt", "smith"}),
    *({"zab", "zabe", "zabu"}, {"zubazube", "zubazub"}),
)
_ACCENTS = re.compile(r"[\u0300-\u036f]+")


def fold(text: str) -> str:
    """A text as it is compared: without case and accents."""
    bare = _ACCENTS.sub("", unicodedata.normalize("NFD", text.lower()))
    return unicodedata.normalize("NFC", bare).translate(_LETTERS)


def lower(text: str) -> str:
    """What identifies as it is compared: without case."""
    return unicodedata.normalize("NFC", text.lower())


def words(text: str) -> list[str]:
    """The words of a text that is searched for: what has a dot is one, what has a hyphen is several."""
    found = _WORDS.findall(fold(text))
    parts = [part for token in found for part in ([token] if "." in token else token.split("-"))]
    return [part.replace("'", "") for part in parts]


def indexed(text: str) -> list[tuple[str, int]]:
    """The words of a text that is searched, and their places: beside words with a dot or an apostrophe their parts, beside the first of
    several parts with hyphens all together."""
    found, place = [], 0
    for token in _WORDS.findall(fold(text)):
        parts = [token] if "." in token else token.split("-")
        for part in (["".join(parts)] if len(parts) > 1 else []) + parts[:1]:
            found += [(word, place) for word in _beside(part)]
        for part in parts[1:]:
            place += 1
            found += [(word, place) for word in _beside(part)]
        place += 1
    return found


def _beside(token: str) -> list[str]:
    parent = token.partition(".")[2]
    return [token.replace("'", ""), *re.split("[-.']", token), *([parent.replace("'", "")] if "." in parent else [])]


def matches(document: Json, record: Record) -> bool:
    """Whether a query finds a record."""
    where = document.get("where", {})
    texts, keywords, ranges = (where.get(n, {}) for n in ("text_matches", "keyword_match", "range_query"))
    groups: dict[str, list[bool]] = {}
    for clause in texts.get("must", []):
        groups.setdefault(name(clause["filter_key"]), []).append(text_matches(clause, record))
    return (
        all(any(group) for group in groups.values())
        and not any(text_matches(clause, record) for clause in texts.get("must_not", []))
        and all(is_one_of(f, v, record) for f, v in keywords.get("must", {}).items())
        and not any(is_one_of(f, v, record) for f, v in keywords.get("must_not", {}).items())
        and all(is_within(f, r, record) for f, r in ranges.get("must", {}).items())
        and not any(is_within(f, r, record) for f, r in ranges.get("must_not", {}).items())
        and ("filters" not in document or holds(document["filters"], record))
    )


def name(field: str) -> str:
    """The field's name in the index."""
    return field.replace("company.", "company_", 1) if field.startswith("company.") else field


def values(field: str, record: Record) -> list[Any]:
    """What a field has: a list's values, or one, or none."""
    value = record.get(name(field))
    return [] if value is None else value if isinstance(value, list) else [value]


def text_matches(clause: Json, record: Record) -> bool:
    """A condition of `text_matches`."""
    field, asked = clause["filter_key"], clause["text_value"]
    operator: Callable[..., bool] = any if clause.get("operator") == "or" else all
    for text in values(field, record):
        if clause["search_type"] == "exact":
            return has_phrase(indexed(text), words(asked), clause.get("slop", 0))
        if clause["search_type"] == "shuffle":
            there = {word for word, _ in indexed(text)}
            fuzzy, alike = clause.get("fuzzy", False), clause.get("alike", [])
            return operator(
                any(is_near(w, t, fuzzy) for t in there) or is_alike(w, there, words(text), alike) for w in words(asked)
            )
        return operator(contains(field, part, text) for part in asked.split())
    return False


def has_phrase(text: list[tuple[str, int]], phrase: list[str], slop: int = 0) -> bool:
    """Whether each word can be assigned a position such that positions minus offsets in the phrase differ by at most `slop`."""
    if not phrase:
        return False
    places = [[i - n for word, i in text if word == wanted] for n, wanted in enumerate(phrase)]
    if slop == 0:
        return bool(set.intersection(*map(set, places)))
    return any(
        all(any(low <= place <= low + slop for place in of_word) for of_word in places)
        for low in {place for of_word in places for place in of_word}
    )


def is_near(wanted: str, word: str, fuzzy: bool) -> bool:
    """Whether a word is another one, or with `fuzzy` one that was typed wrong."""
    allowed = 0 if not fuzzy or len(wanted) < 3 else 1 if len(wanted) < 6 else 2
    return wanted == word or (allowed > 0 and edits(wanted, word) <= allowed)


def is_alike(wanted: str, indexed: set[str], searched: list[str], kinds: list[str]) -> bool:
    """Whether a name has a nickname of a word, or a word that sounds the same."""
    return ("nickname" in kinds and any({wanted, word} in _NICKNAMES for word in indexed)) or (
        "sound" in kinds and any({wanted, word} <= group for word in searched for group in _SOUNDS)
    )


def edits(a: str, b: str) -> int:
    """Insertions, deletions, replacements and swaps of neighbours."""
    table = [[max(i, j) if 0 in (i, j) else 0 for j in range(len(b) + 1)] for i in range(len(a) + 1)]
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            change = a[i - 1] != b[j - 1]
            table[i][j] = min(table[i - 1][j] + 1, table[i][j - 1] + 1, table[i - 1][j - 1] + change)
            if i > 1 and j > 1 and a[i - 1] == b[j - 2] and a[i - 2] == b[j - 1]:
                table[i][j] = min(table[i][j], table[i - 2][j - 2] + 1)
    return table[-1][-1]


def is_one_of(field: str, value: Any, record: Record) -> bool:
    """Whether one of the field's values is one of these."""
    asked = value if isinstance(value, list) else [value]
    if field in TIMES:
        return any(is_within(field, {"gte": day, "lte": day}, record) for day in asked)
    return bool({_same(field, v) for v in asked} & {_same(field, v) for v in values(field, record)})


def _same(field: str, value: Any) -> Any:
    return compared(field, value) if isinstance(value, str) else value


def is_within(field: str, bounds: Json, record: Record) -> bool:
    """Whether a number or a time is within all of the bounds."""
    value = record.get(name(field))
    if value is None:
        return False
    first = last = bounds
    if field in TIMES:
        value = value.replace(microsecond=value.microsecond // 1000 * 1000)
        first, last = ({n: span(text)[i] for n, text in bounds.items()} for i in (0, 1))
    return (
        ("gte" not in bounds or value >= first["gte"])
        and ("gt" not in bounds or value > last["gt"])
        and ("lte" not in bounds or value <= last["lte"])
        and ("lt" not in bounds or value < first["lt"])
    )


def span(text: str) -> tuple[datetime, datetime]:
    """The first and last millisecond of a day, or a moment twice."""
    if len(text) == 10:
        day = datetime.fromisoformat(text)
        return day, day + timedelta(days=1, milliseconds=-1)
    moment = datetime.fromisoformat(text.replace("Z", ""))
    moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    return moment, moment


def holds(node: Json, record: Record) -> bool:
    """Whether the boolean tree holds for a record."""
    if "and" in node:
        return all(holds(child, record) for child in node["and"])
    if "or" in node:
        return any(holds(child, record) for child in node["or"])
    if "not" in node:
        return not holds(node["not"], record)
    field, operator = node["field"], node["operator"]
    value: Any = node.get("value")
    if operator in _OPPOSITES:
        return not holds({**node, "operator": _OPPOSITES[operator]}, record)
    match operator:
        case "eq" | "in":
            return is_one_of(field, value, record)
        case "contains" if isinstance(record.get(name(field)), list):
            return is_one_of(field, value, record)
        case "contains":
            return any(contains(field, value.strip(), text) for text in values(field, record))
        case "prefix":
            return any(begins(field, value.strip(), text) for text in values(field, record))
        case "domain":
            return any(is_of_domain(value, text) for text in values(field, record))
        case "exists":
            return bool(values(field, record))
    return is_within(field, {operator: value}, record)


_OPPOSITES = {"ne": "eq", "nin": "in", "ncontains": "contains", "nexists": "exists"}


def contains(field: str, part: str, text: str) -> bool:
    """Whether a value has a part; one or two letters of a text are the beginning of a word, or ideographs in a row."""
    if name(field) in TEXTS:
        if len(part) >= 3:
            return fold(part) in fold(text)
        if re.fullmatch(rf"{_IDEOGRAPH}+", part):
            return has_phrase(indexed(text), words(part))
        return begins(field, part, text)
    return digits(part) in digits(text) if field in PHONES else compared(field, part) in compared(field, text)


def begins(field: str, beginning: str, text: str) -> bool:
    """Whether a value begins so; of a text: whether it has the words, and one that begins as the last of them."""
    if field in PHONES:
        return digits(text).startswith(digits(beginning))
    if name(field) not in TEXTS:
        return compared(field, text).startswith(compared(field, beginning))
    *whole, last = words(beginning) or [""]
    there = [word for word, _ in indexed(text)]
    return last != "" and set(whole) <= set(there) and any(word.startswith(last) for word in there)


def compared(field: str, text: str) -> str:
    """A value as it is compared: accents count only in what identifies."""
    return lower(text) if field in IDENTIFIERS else fold(text)


def is_of_domain(domain: str, text: str) -> bool:
    """Whether an address is of a domain or of one below it."""
    host = lower(text).rpartition("@")[2]
    return host == lower(domain) or host.endswith(f".{lower(domain)}")


def digits(text: str) -> str:
    """The digits of a phone number."""
    return "".join(re.findall(r"\d", text))
