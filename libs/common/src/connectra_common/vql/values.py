"""Values as clients write them."""

import re
from datetime import datetime

# What both Python and Elasticsearch read.
_DATE = re.compile(
    r"\d{4}-\d\d-\d\d(?:T\d\d(?::\d\d(?::\d\d(?:[.,]\d{1,9})?)?)?(?:Z|[+-]\d\d(?::?\d\d(?::\d\d)?)?)?)?", re.ASCII
)
_NUMBER = re.compile(r"[+-]?\d{1,400}(?:\.\d{0,400})?", re.ASCII)


def is_date(text: str) -> bool:
    """`2024-01-15`, or a date and time in RFC 3339."""
    if not _DATE.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def read_number(text: str) -> float | None:
    """A number in decimal digits; None for what is none."""
    if not _NUMBER.fullmatch(text):
        return None
    return float(text) if "." in text else int(text)


def fits_64_bits(value: float) -> bool:
    """Whether the stores can compare a number with theirs."""
    return -(2**63) <= value < 2**63
