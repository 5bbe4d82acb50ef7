"""Options shared by several commands."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from connectra_client import profiles
from connectra_client.connection import find_connection
from connectra_client.errors import ClientError
from connectra_client.profiles import LOCAL
from connectra_client.rest import Json, RestClient

# `find_connection` reads the variables: only it knows whether they are meant.
Url = Annotated[
    str | None, typer.Option("--url", help="Address of the server; by default CONNECTRA_URL.", metavar="URL")
]
ApiKey = Annotated[
    str | None, typer.Option("--api-key", help="Key of the server; by default CONNECTRA_API_KEY.", metavar="KEY")
]


def profile_names(incomplete: str) -> list[str]:
    """What completes the name of a profile."""
    return [name for name in (LOCAL, *sorted(profiles.load().named)) if name.startswith(incomplete)]


Profile = Annotated[
    str | None,
    typer.Option(
        "--profile",
        "-p",
        help="A server that you logged in to, by default CONNECTRA_PROFILE; `local` is the one on this machine.",
        metavar="NAME",
        autocompletion=profile_names,
    ),
]
Where = Annotated[
    str | None,
    typer.Option("--where", "-w", help="The `where` of a VQL query as JSON, or @FILE to read it from.", metavar="JSON"),
]
Alike = Annotated[
    str | None,
    typer.Option(
        "--alike", help="Find other names too: nickname (Bob, Robert), sound (Meyer, Mayr) or both.", metavar="A,B"
    ),
]
Columns = Annotated[
    str | None, typer.Option("--columns", "-c", help="Columns to show, separated by commas.", metavar="A,B")
]

TEXT_HELP = "Words of a name, title, company, domain, e-mail address, phone or city."


class Entity(StrEnum):
    """What is searched or exported."""

    CONTACTS = "contacts"
    COMPANIES = "companies"

    @property
    def service(self) -> str:
        """Its name in the data of a job."""
        return {"contacts": "contact", "companies": "company"}[self.value]


def connect(url: str | None, api_key: str | None, profile: str | None) -> RestClient:
    """A connection to the server that the options mean, to be used in a `with` statement.

    Raises:
        ClientError: as `find_connection`.
    """
    return RestClient(find_connection(url, api_key, profile))


def read_where(text: str | None) -> Json:
    """The value of --where: a JSON object, or @FILE with one; {} when the option is absent.

    Raises:
        ClientError: the file cannot be read, or the text is not a JSON object, or is a query with more than a `where`.
    """
    if text is None:
        return {}
    if text.startswith("@"):
        try:
            text = Path(text[1:]).read_text(encoding="utf-8-sig")
        except OSError as error:
            raise ClientError(f"--where {text}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise ClientError(f"--where {text}: not UTF-8") from error
    try:
        where = json.loads(text)
    except ValueError as error:
        raise ClientError(f"--where is not JSON: {error}") from error
    if not isinstance(where, dict):
        raise ClientError('--where takes a JSON object such as {"keyword_match": {"must": {"country": "germany"}}}')
    # People often have a whole query at hand rather than its `where`.
    if not isinstance(where.get("where"), dict):
        return where
    if ignored := sorted(name for name, value in where.items() if name != "where" and value not in (None, [], {})):
        raise ClientError(f"--where takes the `where` of a query, not its {', '.join(ignored)}: leave that out")
    return dict(where["where"])


def conditions(text: str | None, where: str | None, alike: str | None = None) -> Json:
    """A query of free text with the value of --alike, of that of --where, or of both. Raises as `read_where`."""
    asked = {"q": text, "alike": split_columns(alike), "where": read_where(where)}
    return {name: value for name, value in asked.items() if value}


def split_columns(text: str | None) -> list[str]:
    """The names in a comma-separated list; [] when there is none."""
    return [name.strip() for name in (text or "").split(",") if name.strip()]
