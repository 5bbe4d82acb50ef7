"""Lists of texts: JSON arrays, and cells that hold several values."""

import re
from collections.abc import Sequence

from connectra_common.records.limits import MAX_ITEM_CHARS, MAX_LIST_ITEMS
from connectra_common.records.values.refused import Refused
from connectra_common.records.values.text import lower, tidy

# An item in quotation marks, as exports write one that has a separator in it; else up to the next separator.
_ITEM = re.compile(r'\s*+"((?:[^"]++|"")*+)"\s*+(?:,|$)|([^,]*+)(?:,|$)')


def read_items(items: Sequence[str]) -> list[str] | None:
    """Items as they are stored: each a tidy text, empty ones left out; order and duplicates stay.

    Raises:
        Refused: too many, one too long, or with a NUL.
    """
    _counted(len(items))
    if any("\x00" in item for item in items):
        raise Refused("contains a NUL character, which cannot be stored")
    found = [value for item in items if (value := tidy(item))]
    if any(len(item) > MAX_ITEM_CHARS for item in found):
        raise Refused(f"has an item of more than {MAX_ITEM_CHARS} characters")
    return found or None


def _counted(items: int) -> None:
    if items > MAX_LIST_ITEMS:
        raise Refused(f"has {items} items; at most {MAX_LIST_ITEMS} are allowed")


def read_list(cell: str) -> list[str] | None:
    """Items of a cell, in lower case: between commas, else between semicolons. Raises as `read_items`."""
    return read_items([lower(item) for item in _split(cell)])


def _split(cell: str) -> list[str]:
    if '"' not in cell:
        if " ::: " in cell:  # Google's
            cell = cell.replace(" ::: ", ",")
        return _parts(cell, "," if "," in cell or ";" not in cell else ";")
    if "," not in cell and ";" in cell and not cell.lstrip().startswith('"'):
        return _parts(cell, ";")
    items, at = list[str](), 0
    while at < len(cell):
        _counted(len(items))
        match = _ITEM.match(cell, at)
        assert match is not None  # the second way matches anything
        items.append(match[2] if match[1] is None else match[1].replace('""', '"'))
        at = match.end()
    return items


def _parts(cell: str, separator: str) -> list[str]:
    # Millions of items, made only to be counted, would keep all other threads waiting.
    _counted(cell.count(separator) + 1)
    return cell.split(separator)
