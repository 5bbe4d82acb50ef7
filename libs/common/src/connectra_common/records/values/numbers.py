"""Whole numbers as people write them: amounts with signs of currencies, separators of any country, words of scale, and ranges."""

import re
import unicodedata
from decimal import Decimal

from connectra_common.records.values.refused import Refused, shown
from connectra_common.records.values.text import is_nothing, tidy

MAX_INT64 = 2**63 - 1
# Of a number with its currency and words.
MAX_NUMBER_CHARS = 100

_ALLOWED = "write a whole number such as 1200, 1,200 or 1.2M"

# Words of scale. In the languages of the second group, the comma is the decimal sign.
_ENGLISH = {
    **dict.fromkeys(("k", "thousand", "thousands"), 10**3),
    **dict.fromkeys(("lakh", "lakhs", "lac", "lacs"), 10**5),
    **dict.fromkeys(("m", "mm", "mn", "million", "millions"), 10**6),
    **dict.fromkeys(("cr", "crore", "crores"), 10**7),
    **dict.fromkeys(("b", "bn", "billion", "billions"), 10**9),
    **dict.fromkeys(("t", "tn", "trillion", "trillions"), 10**12),
    **dict.fromkeys(("千",), 10**3),
    **dict.fromkeys(("万", "萬", "만"), 10**4),
    **dict.fromkeys(("百万",), 10**6),
    **dict.fromkeys(("亿", "億", "억"), 10**8),
}
_CONTINENTAL = {
    **dict.fromkeys(("tsd", "tausend", "teur", "mille", "тыс", "тысяч", "tys", "tis"), 10**3),
    **dict.fromkeys(("mio", "mln", "millionen", "millones", "millón", "milioni", "milione", "milhões", "milhão", "milj"), 10**6),
    **dict.fromkeys(("miljoen", "milionów", "млн", "миллион", "миллионов", "миллиона"), 10**6),
    **dict.fromkeys(("mrd", "mia", "mld", "md", "mds", "milliarde", "milliarden", "milliard", "milliards", "miliardi"), 10**9),
    **dict.fromkeys(("miliardo", "miljard", "млрд", "миллиард", "миллиарда", "миллиардов"), 10**9),
}  # fmt: skip
_SCALES = {**_CONTINENTAL, **_ENGLISH}

_CODES = (
    "usd|eur|euro|euros|gbp|chf|sfr|fr|inr|rs|jpy|yen|cny|rmb|aud|cad|nzd|sgd|hkd|sek|nok|dkk|kr|pln|zł|czk|kč|huf|ft|ron|lei|brl|mxn|ars|"
    "clp|cop|try|tl|rub|руб|uah|грн|ils|aed|sar|zar|krw|thb|idr|rp|myr|rm|php|vnd|ngn|kes|egp|dollar|dollars"
)
_WORDS = (
    "employees|employee|people|persons|staff|headcount|fte|ftes|workers|mitarbeiter|mitarbeitende|beschäftigte|empleados|employés|salariés|"
    "dipendenti|funcionários|medewerkers|pracowników|сотрудников|人|名|명"
)
# Before the least that a number can be, and before the most.
_FROM = (
    "over|above|more than|at least|from|min|über|mehr als|mindestens|ab|plus de|au moins|más de|al menos|mais de|più di|almeno|oltre|"
    "meer dan|minstens|ponad|powyżej|więcej niż|от|более|свыше"
)
_UP_TO = re.compile(
    r"(?:(?:under|below|less than|fewer than|up to|at most|max|unter|weniger als|bis|bis zu|höchstens|moins de|jusqu'[àa]|menos de|hasta|"
    r"até|meno di|fino a|minder dan|tot|hoogstens|poniżej|mniej niż|do|до|менее|меньше)(?=[\s\W\d])|[<≤])",
    re.IGNORECASE,
)
_NOISE = re.compile(
    rf"^(?:(?:ca|circa|approx|approximately|about|around|etwa|rund|env|environ|{_FROM})\b\.?|[~≈>≥+=])\s*"
    rf"|^(?:us|a|ca|c|au|nz|hk|s|mx|r)(?=\$)|^(?:{_CODES})(?=[^\w]|\d)\.?\s*|\s*\.?[\-–—]$|(?<=[\d\W])(?:{_CODES}|{_WORDS})\.?$|\s*\+$|^(?:{_CODES})$",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"(\d[\d., ']*|[.,]\d+)\s*([^\W\d]*)\.?")
_SCIENTIFIC = re.compile(r"(\d+(?:[.,]\d+)?)e([+-]?\d{1,3})", re.IGNORECASE)
_RANGE = re.compile(r"\s*(?:[-–—‒−~～…]|\.\.+|\bto\b|\bbis\b|\bà\b|\bbis zu\b|\ba\b|\btot\b)\s*", re.IGNORECASE)
_NEGATIVE = re.compile(r"[-−–]\s*[^\w\s]?\s*\d|\(\s*[^\w\s]?\s*\d[^)]*\)$|[^-]*\d-$")
_NOTE = re.compile(r"[(\[]([^)\]]*)[)\]]")
_THOUSANDS = re.compile(r"(?<![\d,.])[,.]?000'?s?\b")
_WORD = re.compile(r"[^\W\d_]+")
# Also of mEUR and kUSD.
_MONEY = re.compile(rf"[$€£¥₹]|(?:\b|(?<=\b[ktm])|(?<=\bmn))(?:{_CODES})\b")
_SPELLINGS = str.maketrans(
    {"٫": ".", "٬": ",", "’": "'", "‘": "'", "ʼ": "'", "´": "'", "`": "'", "′": "'", "，": ",", "．": "."}
)


def read_integer(text: str) -> int | None:
    """The whole number that a text means, without its fraction; the lower bound of a range; None for an empty one.

    Raises:
        Refused: negative, beyond 64 bits, or what cannot be told.
    """
    if text.isascii() and text.isdigit() and len(text) < 19:
        return int(text)
    if len(text) > MAX_NUMBER_CHARS:
        raise _unclear(text)
    if (amount := _amount(text)) is None:
        return None
    if (number := int(amount)) > MAX_INT64:
        raise Refused(f"{shown(text)} is too large; the largest number is {MAX_INT64}")
    return number


def scale_of(header: str) -> str:
    """The word of scale in parentheses in the header of a column, as in `Revenue (in 000s USD)` and `Umsatz (Mio. €)`; "" without one."""
    for note in _NOTE.findall(header.casefold()):
        if _THOUSANDS.search(note):
            return "thousand"
        money = _MONEY.search(note) is not None
        for word in _WORD.findall(_MONEY.sub(" ", note)):
            if word in _SCALES and (money or len(word) > 1):  # not of (m/f/d)
                return "tsd" if word == "t" and "$" not in note else word
    return ""


def read_scaled(text: str, scale: str) -> int | None:
    """As `read_integer`, of a cell in a column with a scale, which counts where the cell has none of its own."""
    try:
        return read_integer(f"{_bare(_plain(tidy(text)))} {scale}")
    except Refused:
        return read_integer(text)


def _amount(given: str) -> Decimal | None:
    text = _plain(tidy(given))
    if not text or is_nothing(text):
        return None
    if match := _SCIENTIFIC.fullmatch(text.lstrip("+")):
        mantissa, exponent = match.groups()
        return Decimal(mantissa.replace(",", ".")).scaleb(int(exponent))
    if _NEGATIVE.match(text):
        raise Refused(f"{shown(given)} is negative; allowed are numbers from 0")
    if _UP_TO.match(text):
        raise Refused(f"{shown(given)} has no lower bound; {_ALLOWED}")
    first, *rest = _RANGE.split(_bare(text), maxsplit=1)
    if not rest:
        return _one(first, given)
    return _lower_bound(first, rest[0], given)


def _lower_bound(first: str, last: str, given: str) -> Decimal:
    low, high = _bare(first), _bare(last)
    match_low, match_high = _NUMBER.fullmatch(low), _NUMBER.fullmatch(high)
    if not match_low or not match_high:
        raise _unclear(given)
    if not match_low[2] and match_high[2] and _one(low, given) <= _one(match_high[1], given):
        low += match_high[2]  # $10-50M
    amount = _one(low, given)
    if amount > _one(high, given):
        raise _unclear(given)
    return amount


def _plain(text: str) -> str:
    if text.isascii():
        return text
    return "".join([str(unicodedata.decimal(c)) if c.isdecimal() else c for c in text.translate(_SPELLINGS)])


def _bare(text: str) -> str:
    """Without currency, words and signs around."""
    while True:
        bare = _NOISE.sub("", text.strip())
        while bare and unicodedata.category(bare[0]) == "Sc":
            bare = bare[1:].lstrip()
        while bare and unicodedata.category(bare[-1]) == "Sc":
            bare = bare[:-1].rstrip()
        if bare == text:
            return bare
        text = bare


def _one(text: str, given: str) -> Decimal:
    match = _NUMBER.fullmatch(text)
    if match is None or (match[2] and match[2].casefold() not in _SCALES):
        raise _unclear(given)
    word, euro = match[2].casefold(), "€" in given or "eur" in given.casefold()
    if word == "t" and euro:  # T€
        word = "tsd"
    number = _decimal(match[1].strip(), word, euro)
    if number is None:
        raise _unclear(given)
    return number * _SCALES[word] if word else number


def _decimal(digits: str, scale: str, euro: bool) -> Decimal | None:
    """The number of digits and separators; None when the separators contradict each other, or could be read in two ways."""
    # A blank or an apostrophe only ever groups, the last of comma and full stop may be the decimal sign.
    signs = [c for c in digits if c in ".,"]
    last = signs[-1] if signs else ""
    whole, fraction = digits, ""
    if last and signs.count(last) == 1:
        head, _, tail = digits.rpartition(last)
        mixed = len(set(signs)) == 2 or " " in head or "'" in head
        if mixed or len(tail) != 3 or not 1 <= len(head) <= 3 or head.startswith("0"):
            whole, fraction = head, tail
        elif scale:
            # 1.234M or 1.234 Mio: who writes so?
            if scale in _CONTINENTAL:
                decimal = ","
            elif euro:
                return None
            else:
                decimal = "."
            if last == decimal:
                whole, fraction = head, tail
    if fraction and not fraction.isdigit():
        return None
    groups = re.split(r"[., ']", whole) if whole else ["0"]
    if len(groups) > 1 and (len({c for c in whole if not c.isdigit()}) > 1 or not _grouped(groups)):
        return None
    return Decimal(f"{''.join(groups)}.{fraction or 0}")


def _grouped(groups: list[str]) -> bool:
    if not 1 <= len(groups[0]) <= 3 or len(groups[-1]) != 3:
        return False
    middle = {len(group) for group in groups[1:-1]}
    # Of three digits, or of two as in India.
    return middle <= {3} or (middle == {2} and len(groups[0]) <= 2)


def _unclear(given: str) -> Refused:
    return Refused(f"{shown(given)} is not a number; {_ALLOWED}")
