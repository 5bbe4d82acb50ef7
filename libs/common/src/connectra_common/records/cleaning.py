"""Cleaning of texts: what makes the ids of records (`records/ids.py`), so it must not drift. It decides nothing about what is stored.

Source: the documented CSV rules.
"""

from connectra_common.records.values import Value as Value
from connectra_common.records.values import lower as lower


class CellRefused(ValueError):
    """A row that cannot be stored, and why."""


def clean(text: str) -> str:
    """Strips everything but letters and digits from both ends and folds white space inside to single spaces."""
    if text.isascii() and text[:1].isalnum() and text[-1:].isalnum():
        # Most values are one word, which has nothing to fold.
        return text if text.isalnum() else " ".join(text.split())
    start, end = 0, len(text)
    while start < end and not _is_word(text[start]):
        start += 1
    while end > start and not _is_word(text[end - 1]):
        end -= 1
    if end - start != len(text):
        text = text[start:end]
    return " ".join(text.split())


def _is_word(char: str) -> bool:
    return char.isalpha() or char.isdecimal()
