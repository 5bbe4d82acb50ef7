"""What a job says of an import, in words."""

from collections.abc import Mapping, Sequence
from typing import Any

from connectra_jobs.repository import sentences

NO_ROW = "There was no row in the file"
REPLACED = "The file had been replaced since an earlier run, and was read from its beginning"
# Columns that are named; of more there is only the number.
MAX_NAMED = 20


def completed(found: Mapping[str, Any], notes: Sequence[str] = ()) -> str:
    """Of an import that reached the end of its file: how it went, and the facts. Where all went well it begins with the documented text."""
    validated = bool(found.get("validate_only"))
    what = "Validation" if validated else "Import"
    if not found["rows"]:
        begin = f"{what} completed, but without a row"
    elif found["rejected"] or found.get("left_out"):
        begin = f"{what} completed, but not everything in the file {'can' if validated else 'could'} be stored"
    else:
        begin = f"{what} completed successfully"
    return sentences(f"{begin}; nothing was stored" if validated else begin, facts(found, notes))


def facts(found: Mapping[str, Any], notes: Sequence[str] = ()) -> str:
    """What was read, stored and not stored.

    Args:
        found: the members of the job_response; `replaced` if the object was another one before.
        notes: how the file was read.
    """
    rows = f"{_number(found['rows'], 'row')} read" if found["rows"] else NO_ROW
    return sentences(
        REPLACED if found.get("replaced") else "",
        rows + (f": {_records(found)}" if found["rows"] else ""),
        f"{_number(found['rejected'], 'row')} rejected" if found["rejected"] else "",
        f"{_number(found['left_out'], 'cell')} left out, as not valid" if found.get("left_out") else "",
        _unknown(found.get("unknown_columns") or ()),
        f"The file was read as {found['encoding']}" if found.get("encoding", "utf-8").lower() != "utf-8" else "",
        *notes,
    )


def nothing_stored(found: Mapping[str, Any], first: tuple[int, str] | None) -> str:
    """The error of a file of which nothing could be stored; `first`: line and reason of its first rejected row."""
    error = f"nothing in the file could be stored: {_number(found['rows'], 'row')}, {found['rejected']:,} rejected"
    return f"{error}, the first one in line {first[0]}: {first[1]}" if first else error


def _records(found: Mapping[str, Any]) -> str:
    if "companies" in found:
        return f"{found['companies']:,} with a company, {found['contacts']:,} with a person"
    text = (
        f"{_number(found['created'], 'record')} created, {found['updated']:,} updated, {found['unchanged']:,} unchanged"
    )
    return f"{text}, {found['merged']:,} merged with others" if found.get("merged") else text


def _unknown(columns: Sequence[str]) -> str:
    if not columns:
        return ""
    if len(columns) > MAX_NAMED:
        return f"{len(columns):,} columns were not understood and not used"
    names = ", ".join(f"'{name}'" for name in columns)
    return f"Not understood and not used: {'the column' if len(columns) == 1 else 'the columns'} {names}"


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
