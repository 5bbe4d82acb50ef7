"""Values as clients write them."""

from datetime import datetime


def is_date(text: str) -> bool:
    """`2024-01-15`, or a date and time in RFC 3339."""
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return len(text) >= len("2024-01-15") and text[4] == "-"


def fits_64_bits(value: float) -> bool:
    """Whether the stores can compare a number with theirs."""
    return -(2**63) <= value < 2**63
