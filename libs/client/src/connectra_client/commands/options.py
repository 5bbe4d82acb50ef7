"""Options that several commands share."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from connectra_client.errors import ClientError

Url = Annotated[str | None, typer.Option("--url", help="Address of the server.", envvar="CONNECTRA_URL", metavar="URL")]
ApiKey = Annotated[
    str | None,
    typer.Option("--api-key", help="Key of the server.", envvar="CONNECTRA_API_KEY", metavar="KEY", show_envvar=True),
]
Where = Annotated[
    str | None,
    typer.Option("--where", "-w", help="The `where` of a VQL query as JSON, or @FILE that holds it.", metavar="JSON"),
]


class Entity(StrEnum):
    """What is searched and exported."""

    CONTACTS = "contacts"
    COMPANIES = "companies"

    @property
    def service(self) -> str:
        """Its name in job data."""
        return {"contacts": "contact", "companies": "company"}[self.value]


def read_where(text: str | None) -> dict[str, Any]:
    """The JSON object of --where, itself or from @FILE; {} when there is none.

    Raises:
        ClientError: the file cannot be read or it is no JSON object.
    """
    if text is None:
        return {}
    if text.startswith("@"):
        try:
            text = Path(text[1:]).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ClientError(f"--where {text}: {error}") from error
    try:
        where = json.loads(text)
    except ValueError as error:
        raise ClientError(f"--where is no JSON: {error}") from error
    if not isinstance(where, dict):
        raise ClientError('--where wants a JSON object such as {"keyword_match": {"must": {"country": "germany"}}}')
    # A whole query is at hand more often than its inner part.
    return where["where"] if isinstance(where.get("where"), dict) else where


def split_columns(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]
