"""What the columns of a file mean: read from the command line and from files, proposed by the server."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from connectra_client.errors import ClientError
from connectra_client.rest import Json, RestClient

# The server reads less than that of a file; a spreadsheet, which is an archive, it needs whole.
_PREVIEW_BYTES = 4 * 1024 * 1024
_ARCHIVE = b"PK\x03\x04"

# What a column is to fill, by its header; None: it is left out.
Mapping = dict[str, str | None]


def read_mapping(file: Path | None, options: Iterable[str]) -> Mapping:
    """The mapping in a file, with what the command line says laid over it.

    Args:
        file: JSON, as `save_mapping` writes it.
        options: texts such as `Job Title=title`; without a target, `Notes=`, the column is left out.

    Raises:
        ClientError: the file or an option cannot be read.
    """
    mapping: Mapping = {}
    if file:
        try:
            read = json.loads(file.read_text(encoding="utf-8-sig"))
        except (OSError, ValueError) as error:
            raise ClientError(f"{file} cannot be read as JSON: {error}") from error
        if not (isinstance(read, dict) and all(isinstance(target, str | None) for target in read.values())):
            raise ClientError(f'{file}: expected an object such as {{"Job Title": "title", "Notes": null}}')
        mapping |= read
    for option in options:
        header, equals, target = option.rpartition("=")
        if not (equals and header.strip()):
            raise ClientError(f'--map {option!r}: expected "HEADER=FIELD", or "HEADER=" to leave the column out')
        mapping[header.strip()] = target.strip() or None
    return mapping


def save_mapping(file: Path, columns: Sequence[Json]) -> None:
    """Write what the columns of a preview mean, for `read_mapping`. Headers that stand twice are left to the server.

    Raises:
        ClientError: the file cannot be written.
    """
    times = Counter(column["header"].casefold() for column in columns)
    mapping = {
        column["header"]: column["target"]
        for column in columns
        if column["header"].strip() and times[column["header"].casefold()] == 1
    }
    try:
        file.write_text(json.dumps(mapping, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise ClientError(f"{file} cannot be written: {error.strerror}") from error


def preview(client: RestClient, file: Path, job_data: Json) -> Json:
    """What the server would make of a file, of which only the beginning is sent where that is enough.

    Raises:
        ClientError: the file cannot be read.
    """
    try:
        with file.open("rb") as source:
            data = source.read(_PREVIEW_BYTES)
    except OSError as error:
        raise ClientError(f"{file} cannot be read: {error.strerror}") from error
    if len(data) < _PREVIEW_BYTES or data.startswith(_ARCHIVE):
        key = client.upload(file)
    else:
        with TemporaryDirectory() as folder:
            beginning = Path(folder) / file.name
            beginning.write_bytes(data)
            key = client.upload(beginning)
    return client.preview_import({"s3_key": key, **job_data})
