"""Contacts that a test imports and finds again by its mark, which is their last name."""

from typing import Any

import httpx
from connectra.write.internal.v1.import_service_pb2 import ImportBatchRequest

from tests.support.queries import text_clause, text_query

COLUMNS = ("company", "company_city", "employees", "first_name", "last_name", "email", "title")


def row(mark: str, n: int, title: str = "Engineer", city: str = "Bonn", employees: int = 5) -> str:
    """A line of CSV with these columns: contact number `n` of the company of the mark."""
    return f"{mark} co,{city},{employees},ann{n},{mark},ann{n}@{mark}.com,{title}"


def batch(job: str, number: int, *rows: str, begin: int = 0, **more: Any) -> ImportBatchRequest:
    """Such rows as a batch of an import, from a byte of its file on."""
    records = "".join(f"{row}\n" for row in rows).encode()
    return ImportBatchRequest(
        job_uuid=job,
        batch_number=number,
        records=records,
        columns=COLUMNS,
        first_line=2,
        byte_start=begin,
        byte_end=begin + len(records),
        **more,
    )


def person(mark: str) -> dict[str, str]:
    """A contact of a mark, as the API takes it."""
    return {"first_name": "ann", "last_name": mark, "email": f"ann@{mark}.example"}


def named(mark: str, **more: Any) -> dict[str, Any]:
    """A query for the contacts of a mark."""
    return {**text_query(text_clause(mark, "last_name")), **more}


async def is_count(api: httpx.AsyncClient, mark: str, count: int) -> bool:
    """Whether a search finds exactly `count` contacts of a mark."""
    return bool((await api.post("/contacts/count", json=named(mark))).json()["count"] == count)
