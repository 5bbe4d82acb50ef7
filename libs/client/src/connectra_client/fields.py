"""Fields of records whose values are no texts, for values that are typed at a terminal."""

import csv
from collections.abc import Iterable
from typing import Any

from connectra_client.errors import ClientError

# Of companies and contacts; a test compares them with the catalogue of the servers.
LISTS = frozenset({"departments", "industries", "keywords", "technologies"})
NUMBERS = frozenset({"annual_revenue", "employees_count", "latest_funding_amount", "total_funding"})


def read_fields(options: Iterable[str]) -> dict[str, Any]:
    """The fields that options such as `title=VP` name. An empty value clears a field; items of a list are separated by commas.

    Raises:
        ClientError: an option has no `=`, or a number is none.
    """
    fields: dict[str, Any] = {}
    for option in options:
        name, equals, text = option.partition("=")
        name = name.strip()
        if not (equals and name):
            raise ClientError(f'-f {option!r}: expected FIELD=VALUE, such as -f "title=VP of Sales"')
        if name in LISTS:
            items = next(csv.reader([" ".join(text.splitlines())]), ())  # of one line
            fields[name] = [*(fields.get(name) or ()), *(item.strip() for item in items)]
        elif name in NUMBERS:
            fields[name] = _number(name, text)
        else:
            fields[name] = text
    return fields


def _number(name: str, text: str) -> int | None:
    if not text.strip():
        return None
    try:
        return int(text)
    except ValueError:
        raise ClientError(f"-f {name}={text}: a whole number is expected") from None
