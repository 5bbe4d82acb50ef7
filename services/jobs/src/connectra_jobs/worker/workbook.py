"""The first table of an XLSX workbook as text: a line for each row of the sheet, cells parted by tabs.

A cell has neither tabs nor line ends, so that lines are the sheet's own row numbers. The same workbook gives the same bytes each time.
"""

import re
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import IO, Any

import openpyxl
from connectra_common.errors import listed
from connectra_common.requests import MAX_NAME_CHARS
from openpyxl.utils.exceptions import InvalidFileException

from connectra_jobs.worker.content import MAX_RATIO, UnreadableFile, is_bomb

# The whole file, and its texts when they are unpacked, which are held in memory.
MAX_BYTES = 200 * 1024 * 1024
MAX_TEXT_BYTES = 200 * 1024 * 1024
PIECE_BYTES = 256 * 1024

_SAVE = "save the table as CSV or XLSX and import that"
_KINDS = (
    ("xl/workbook.bin", f"a binary Excel workbook (.xlsb); {_SAVE}"),
    ("word/document.xml", f"a Word document; {_SAVE}"),
    ("ppt/presentation.xml", "a PowerPoint presentation"),
    ("Index/Document.iwa", f"a Numbers or Pages document; {_SAVE}"),
)


class Workbook:
    """An XLSX file.

    Args:
        file: of its bytes; closed with the workbook.

    Raises:
        UnreadableFile: another ZIP archive, or damaged, or with more text than can be held.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        _check(file)
        try:
            self._book = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
        except (InvalidFileException, zipfile.BadZipFile, KeyError, ValueError, OSError, SyntaxError) as error:
            raise UnreadableFile(f"the workbook is damaged: {type(error).__name__}") from None

    @property
    def sheets(self) -> list[str]:
        """Names of its sheets, visible ones first."""
        sheets = sorted(self._book.worksheets, key=lambda sheet: sheet.sheet_state != "visible")
        return [sheet.title for sheet in sheets]

    def text(self, sheet: str) -> Iterator[bytes]:
        """The rows of a sheet, in pieces.

        Raises:
            UnreadableFile: damaged.
        """
        rows = self._book[sheet]
        rows.reset_dimensions()  # what the file says of its size is often wrong
        piece: list[str] = []
        size = 0
        try:
            for row in rows.iter_rows(values_only=True):
                line = "\t".join(map(shown, row)).rstrip("\t")
                piece.append(line)
                size += len(line)
                if size >= PIECE_BYTES:
                    yield ("\n".join(piece) + "\n").encode(errors="replace")
                    piece, size = [], 0
        except (zipfile.BadZipFile, KeyError, ValueError, OSError, SyntaxError, TypeError) as error:
            raise UnreadableFile(f"the workbook is damaged: {type(error).__name__} in the sheet {sheet!r}") from None
        if piece:
            yield ("\n".join(piece) + "\n").encode(errors="replace")

    def close(self) -> None:
        """Lets go of the file."""
        self._book.close()
        self._file.close()


def shown(value: Any) -> str:
    """A cell as text: numbers without an empty fraction, dates in ISO 8601, what is quoted in TSV quoted."""
    match value:
        case None:
            return ""
        case str():
            text = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), value) if "_x" in value else value
            text = _BREAKS.sub(" ", text)
            if value in _ERRORS:
                return ""
            return '"' + text.replace('"', '""') + '"' if text.lstrip(" ").startswith('"') else text
        case bool():
            return "TRUE" if value else "FALSE"
        case int():
            return str(value)
        case float():
            return str(int(value)) if value.is_integer() else repr(value)
        case datetime():
            return value.date().isoformat() if value.time() == time() else value.isoformat(sep=" ", timespec="seconds")
        case date() | time():
            return value.isoformat()
        case timedelta():
            return str(value)
    return _BREAKS.sub(" ", str(value))


# Excel writes control characters as _x000D_.
_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")
_BREAKS = re.compile(r"[\t\r\n\v\f]+")
_ERRORS = {"#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NULL!", "#NUM!"}


def _check(file: IO[bytes]) -> None:
    """Whether the archive is a workbook that can be read."""
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            sizes = {entry.filename: entry.file_size for entry in entries}
            kind = archive.read("mimetype").decode(errors="replace") if sizes.get("mimetype", 1000) < 200 else ""
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError):
        raise UnreadableFile("the ZIP archive or workbook is damaged or cut off: it cannot be unpacked") from None
    if "opendocument" in kind:
        raise UnreadableFile(f"the file is an OpenDocument file (.ods); {_SAVE}")
    for name, what in _KINDS:
        if name in sizes:
            raise UnreadableFile(f"the file is {what}")
    if not any(name.lower().lstrip("/") == "xl/workbook.xml" for name in sizes):
        shown_names = listed(name[:MAX_NAME_CHARS] for name in sorted(sizes))
        raise UnreadableFile(
            f"the file is a ZIP archive and not a spreadsheet ({shown_names}); unpack it and import the table in it"
        )
    if is_bomb(sum(entry.compress_size for entry in entries), sum(entry.file_size for entry in entries)):
        raise UnreadableFile(f"the workbook unpacks to more than {MAX_RATIO} times its size, which no table does")
    texts = sum(size for name, size in sizes.items() if "sharedstrings" in name.lower())
    if texts > MAX_TEXT_BYTES:
        raise UnreadableFile(
            f"the workbook has {texts / 2**20:,.0f} MiB of text; at most {MAX_TEXT_BYTES // 2**20} MiB can be read. "
            "Save the table as CSV and import that"
        )
