"""`connectra contacts` and `connectra companies`: single records, and many by their uuids."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from connectra_client.commands.count import By, Size, tell
from connectra_client.commands.options import (
    Alike,
    ApiKey,
    Columns,
    Entity,
    Profile,
    Url,
    Where,
    conditions,
    connect,
    split_columns,
)
from connectra_client.commands.search import COLUMNS, All, Limit, Sort, Text, find, order_of
from connectra_client.complaints import told
from connectra_client.display import hint, show_notes
from connectra_client.errors import ApiError, ClientError
from connectra_client.exit_codes import ExitCode, exit_code
from connectra_client.fields import read_fields
from connectra_client.output import AsJson, Format, Output, format_of, show_json, show_record, show_records
from connectra_client.rest import Json, RestClient

contacts = typer.Typer(help="List, get, create, update, upsert, delete and count contacts.", no_args_is_help=True)
companies = typer.Typer(help="List, get, create, update, upsert, delete and count companies.", no_args_is_help=True)

_DASH = "-"
# Records that are sent at once.
_BATCH = 500

_Uuids = Annotated[list[str], typer.Argument(help="Of the records; - reads them from stdin.", metavar="UUID")]
_Uuid = Annotated[str, typer.Argument(help="Of the record.", metavar="UUID")]
_Fields = Annotated[
    list[str] | None,
    typer.Option(
        "--field",
        "-f",
        help="Repeatable. An empty value clears a field; commas separate the items of a list.",
        metavar="FIELD=VALUE",
    ),
]
_File = Annotated[
    Path | None,
    typer.Option("--file", help="Fields as a JSON object; - reads stdin."),
]


def _add(app: typer.Typer, entity: Entity, uuid: str, fields: str, change: str) -> None:
    """Give a group its commands.

    Args:
        app: the group.
        entity: its records.
        uuid: of an example.
        fields: those of an example.
        change: an option that changes one of them.
    """
    one = entity.service

    def command(name: str, summary: str, *examples: str, more: str = "") -> Callable[[Any], Any]:
        lines = "\n".join(f"    connectra {entity} {name}{' ' if line else ''}{line}" for line in examples)
        return app.command(name, help="\n\n".join(filter(None, (summary, more, f"Examples:\n{lines}"))))

    @command("list", f"List {entity} that match; the newest first, unless words are searched for.", "", "-n 200 -o csv")
    def list_records(
        text: Text = None,
        alike: Alike = None,
        where: Where = None,
        columns: Columns = None,
        sort: Sort = None,
        limit: Limit = 25,
        everything: All = False,
        output: Output = Format.TABLE,
        as_json: AsJson = False,
        url: Url = None,
        api_key: ApiKey = None,
        profile: Profile = None,
    ) -> None:
        query = {**conditions(text, where, alike), **order_of(sort)}
        rows = None if everything else limit
        with connect(url, api_key, profile) as client:
            find(client, entity, query, rows, split_columns(columns), format_of(output, as_json))

    @command(
        "get",
        f"Show {entity} by their uuids, as the database has them now.",
        uuid,
        f"{uuid} -o json",
        "- -o csv < uuids.txt",
    )
    def get(
        uuids: _Uuids,
        columns: Columns = None,
        output: Output = Format.TABLE,
        as_json: AsJson = False,
        url: Url = None,
        api_key: ApiKey = None,
        profile: Profile = None,
    ) -> None:
        chosen, format = split_columns(columns), format_of(output, as_json)
        # Always with what names it.
        selected = list(dict.fromkeys(("uuid", *chosen))) if chosen and format is Format.NAME else chosen
        with connect(url, api_key, profile) as client:
            if len(uuids) == 1 and uuids != [_DASH]:
                show_record(client.record(entity, uuids[0], selected), format)
                return
            failures: list[ClientError] = []
            found = _each(uuids, failures, lambda uuid: client.record(entity, uuid, selected))
            shown = chosen or [name for name in COLUMNS[entity] if "." not in name]
            show_records(found, shown, format, chosen=bool(chosen))
        _end(failures)

    @command(
        "create",
        f"Store a new {one}, and show it as it is stored.",
        fields,
        f"--file {one}.json -o name",
        more="Exit code 6 if it exists already: `upsert` changes it then.",
    )
    def create(
        field: _Fields = None,
        file: _File = None,
        idempotency_key: Annotated[
            str | None,
            typer.Option(
                "--idempotency-key", help="Repeated with the same key, it creates no second one.", metavar="KEY"
            ),
        ] = None,
        output: Output = Format.TABLE,
        as_json: AsJson = False,
        url: Url = None,
        api_key: ApiKey = None,
        profile: Profile = None,
    ) -> None:
        record = _record(field, file)
        with connect(url, api_key, profile) as client:
            answer = client.create(entity, record, idempotency_key=idempotency_key)
        _answer(answer, format_of(output, as_json))

    @command(
        "update",
        f"Change fields of a {one}, and show it as it is stored; all other fields stay.",
        f"{uuid} {change}",
        f"{uuid} {change} --if-version 42",
        more="With --if-version, exit code 6 if somebody else has changed it since.",
    )
    def update(
        uuid: _Uuid,
        field: _Fields = None,
        file: _File = None,
        if_version: Annotated[
            int | None,
            typer.Option("--if-version", help="Only if this is still its row_version.", metavar="N"),
        ] = None,
        output: Output = Format.TABLE,
        as_json: AsJson = False,
        url: Url = None,
        api_key: ApiKey = None,
        profile: Profile = None,
    ) -> None:
        fields = _record(field, file)
        with connect(url, api_key, profile) as client:
            answer = client.update(entity, uuid, fields, if_version=if_version)
        _answer(answer, format_of(output, as_json))

    @command(
        "upsert",
        f"Change the {one} that is meant, or store a new one; of a file, as many as it has.",
        fields,
        f"--file {entity}.json",
        "--file - -o name < records.ndjson",
        more="--file takes an object, an array of objects, or an object per line. Of several, those that are valid are stored, the "
        "others named; exit code 5 then. Large files of other tools are a matter for `connectra import`.",
    )
    def upsert(
        field: _Fields = None,
        file: _File = None,
        output: Output = Format.TABLE,
        as_json: AsJson = False,
        url: Url = None,
        api_key: ApiKey = None,
        profile: Profile = None,
    ) -> None:
        read, fields, format = read_records(file), read_fields(field or ()), format_of(output, as_json)
        records = read if isinstance(read, list) else [read]
        with connect(url, api_key, profile) as client:
            if isinstance(read, list):
                _store(client, entity, [{**record, **fields} for record in records], format)
                return
            answer = client.upsert(entity, {**read, **fields})
        hint("created" if answer["is_new"] else "changed")
        _answer(answer, format)

    @command(
        "delete",
        f"Delete {entity}; an upsert with its uuid brings one back.",
        uuid,
        "- < uuids.txt",
    )
    def delete(uuids: _Uuids, url: Url = None, api_key: ApiKey = None, profile: Profile = None) -> None:
        failures: list[ClientError] = []
        with connect(url, api_key, profile) as client:

            def one(uuid: str) -> str:
                client.delete(entity, uuid)
                return uuid

            for uuid in _each(uuids, failures, one):
                hint(f"deleted {uuid}")
        _end(failures)

    @command("count", f"Count {entity} that match, in all or by the values of one or two fields.", "", "--by country")
    def count(
        text: Text = None,
        alike: Alike = None,
        where: Where = None,
        by: By = None,
        size: Size = 10,
        output: Output = Format.TABLE,
        as_json: AsJson = False,
        url: Url = None,
        api_key: ApiKey = None,
        profile: Profile = None,
    ) -> None:
        with connect(url, api_key, profile) as client:
            tell(client, entity, conditions(text, where, alike), by, size, format_of(output, as_json))


def _store(client: RestClient, entity: Entity, records: list[Json], format: Format) -> None:
    total: Json = {"total_count": 0, "success_count": 0, "error_count": 0, "created": 0, "updated": 0}
    uuids, errors = [], []
    waiting, begin = iter(records), 0
    while batch := list(islice(waiting, _BATCH)):
        done = client.bulk(entity, batch)
        total = {name: number + done[name] for name, number in total.items()}
        uuids += done["uuids"]
        errors += [{**error, "index": begin + error["index"]} for error in done["errors"]]
        begin += len(batch)
    match format:
        case Format.JSON:
            show_json({**total, "uuids": uuids, "errors": errors})
        case Format.NAME:
            show_records(({"uuid": uuid} for uuid in uuids if uuid), ["uuid"], format)
        case _:
            show_record({name: number for name, number in total.items() if number}, format)
    for error in errors:
        hint(f"record {error['index'] + 1}: {error['error']}")
    if errors:
        raise typer.Exit(ExitCode.REFUSED)


def _answer(answer: Json, format: Format) -> None:
    show_notes(answer)
    show_record(answer["data"], format)


def _each(uuids: Iterable[str], failures: list[ClientError], call: Callable[[str], Any]) -> Iterator[Any]:
    """What a call gives for each uuid; what the server refuses of some is said, and does not end the others."""
    for given in uuids:
        for uuid in map(str.strip, sys.stdin) if given == _DASH else (given,):
            if not uuid:
                continue
            try:
                found = call(uuid)
            except ApiError as error:
                if error.status not in (400, 404, 409):
                    raise
                failures.append(error)
                hint(f"{uuid}: {told(error)}")
            else:
                yield found


def _end(failures: list[ClientError]) -> None:
    if failures:
        raise typer.Exit(exit_code(failures[0]))


def _record(fields: list[str] | None, file: Path | None) -> Json:
    """The fields of a file, with those of the command line laid over them."""
    read = read_records(file)
    if isinstance(read, list):
        raise ClientError(f"{file} has {len(read)} records, and one is expected; `upsert` takes several")
    record: Json = {**read, **read_fields(fields or ())}
    if not record:
        raise typer.BadParameter('no fields are given: -f "title=VP of Sales", or --file')
    return record


def read_records(file: Path | None) -> Json | list[Json]:
    """An object, an array of them, or one in each line."""
    if file is None:
        return {}
    try:
        text = sys.stdin.read().removeprefix("\ufeff") if str(file) == _DASH else file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ClientError(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ClientError(f"{file} cannot be read: it is not UTF-8") from error
    try:
        read = json.loads(text)
    except ValueError:
        read = _lines(file, text)
    if isinstance(read, dict) or (isinstance(read, list) and all(isinstance(one, dict) for one in read)):
        return read
    raise ClientError(f"{file}: expected a JSON object, an array of objects, or an object per line")


def _lines(file: Path, text: str) -> list[Any]:
    read = []
    for number, line in enumerate(text.split("\n"), 1):
        try:
            if line.strip():
                read.append(json.loads(line))
        except ValueError as error:
            raise ClientError(f"{file}, line {number} is not JSON: {error}") from error
    return read


_add(
    contacts,
    Entity.CONTACTS,
    "6f1c0b52-7c5e-4f0e-9d2b-0c8a0e3b7a11",
    "-f first_name=Jane -f last_name=Doe -f email=jane@acme.example",
    '-f "title=VP of Sales" -f departments=sales,marketing',
)
_add(
    companies,
    Entity.COMPANIES,
    "00c5752b-4b70-5e55-a027-63ae68753a52",
    '-f "name=Acme Software" -f website=https://acme.example',
    "-f employees_count=120 -f industries=software,saas",
)
