"""What a file of an import is: its kind, encoding, delimiter and header."""

import io
import zipfile
from collections.abc import AsyncGenerator, Sequence
from datetime import date, datetime, time
from typing import Any

import openpyxl
import pytest
from connectra_jobs import encodings
from connectra_jobs.encodings import Encoding
from connectra_jobs.worker import decoding
from connectra_jobs.worker.content import Text, UnreadableFile, refuse_other_kinds
from connectra_jobs.worker.table import find_header
from connectra_jobs.worker.workbook import Workbook
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("data", "delimiter", "cells"),
    [
        (b"first_name,email\n", ",", ("first_name", "email")),
        (b"\xef\xbb\xbfFirst Name;Email;a,b,c\r\nx", ";", ("First Name", "Email", "a,b,c")),
        (b"first_name\temail", "\t", ("first_name", "email")),
        (b"\n\r\nfirst_name|email|\r", "|", ("first_name", "email", "")),
        (b'"first\nname","email"\n', ",", ("first\nname", "email")),
        (b"email", ",", ("email",)),
    ],
)
def test_the_header_gives_delimiter_and_cells(data: bytes, delimiter: str, cells: tuple[str, ...]) -> None:
    header = find_header(data, whole=True)
    assert header is not None
    assert (header.delimiter, header.columns.headers) == (delimiter, cells)


def test_the_header_says_where_the_rows_begin() -> None:
    header = find_header(b'\xef\xbb\xbf\n"first_name","x\ny"\r\n1,2\n', whole=True)
    assert header is not None
    assert (header.byte_end, header.next_line, header.columns.unknown) == (24, 4, ("x\ny",))


@pytest.mark.parametrize("data", [b"", b"\xef", b"first_name,ema", b'first_name,"x\n', b"email\r"])
def test_a_header_that_is_not_all_there_waits(data: bytes) -> None:
    assert find_header(data, whole=False) is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"\xef\xbb\xbf\r\n", "empty"),
        (b"foo,bar\n1,2\n", "no known column"),
        (
            "氏名,会社名\n".encode("shift_jis"),
            "no known column .* in another encoding than it was read in; encoding can say which",
        ),
        (b"email,first_name,Email\n", "twice"),
        (b'"email,name\n', "no end"),
        (b"email" + b"," * 16_384, "the header has 16,385 columns; at most 16,384 are allowed"),
    ],
)
def test_an_unreadable_header_is_refused_clearly(data: bytes, message: str) -> None:
    with pytest.raises(UnreadableFile, match=message):
        find_header(data, whole=True)


def found(text: str, **more: Any) -> tuple[tuple[str, ...], str, int]:
    header = find_header(text.encode(), whole=True, **more)
    assert header is not None
    return header.columns.headers, header.delimiter, header.line


@pytest.mark.parametrize(
    ("text", "headers", "delimiter", "line"),
    [
        (
            'Notes:\r\n"Mail, may be missing"\r\n\r\nFirst Name,Email Address\r\nx,y\r\n',
            ("First Name", "Email Address"),
            ",",
            4,
        ),
        ("sep=;\r\nEmail;Company\r\n", ("Email", "Company"), ";", 2),
        ('"sep=|"\nEmail|Company, Ltd\n', ("Email", "Company, Ltd"), "|", 2),
        ("sep=\t\nEmail\tA,B,C\n", ("Email", "A,B,C"), "\t", 2),
        ("Report, Email\n\n;;\nEmail;Company;Title\na,b;c;d\n", ("Email", "Company", "Title"), ";", 4),
        ("Email,Company\na,b\nEmail,Company\n", ("Email", "Company"), ",", 1),
        ('"Some ""text"" that\nhas lines",\n"Mobile\nPhone",Email\n', ("Mobile\nPhone", "Email"), ",", 3),
        ('A "note" with a quote, "open\nEmail,Company\n', ("Email", "Company"), ",", 2),
    ],
)
def test_the_header_is_the_line_that_is_understood_best(
    text: str, headers: tuple[str, ...], delimiter: str, line: int
) -> None:
    assert found(text) == (headers, delimiter, line)


def test_a_file_without_a_header_says_what_its_first_line_is() -> None:
    with pytest.raises(
        UnreadableFile, match=r"The first line is 'ann,5'; the header is looked for in the first 50 lines"
    ):
        find_header(b"\nann,5\nbob,7\n", whole=True)


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (b'------X\r\nContent-Disposition: form-data; name="file"\r\n\r\na,b', "HTML form"),
        (b'--b\nContent-Type: text/csv\nContent-Disposition: form-data; name="f"\n\n', "HTML form"),
        (b"%PDF-1.7", "PDF"),
        (b'\xef\xbb\xbf[\n  {"email": "ann@x.example"}]', "the file is JSON"),
        (b'{"email": "ann@x.example"}\n', "the file is JSON"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "xls"),
        (b"\xef\xbb\xbf <!DOCTYPE html><table>", "HTML page"),
        (b"<html xmlns:x=''>", "HTML page"),
        (b"<?xml version='1.0'?>", "XML"),
        (b"BEGIN:VCARD", "vCards"),
        (b"BZh91", "bzip2"),
    ],
)
def test_other_kinds_of_files_are_named(head: bytes, what: str) -> None:
    with pytest.raises(UnreadableFile, match=what):
        refuse_other_kinds(head)


# --- encodings


class Pieces:
    """A content in pieces."""

    packed = False

    def __init__(self, data: bytes, size: int) -> None:
        self._data, self._size = data, size

    def again(self) -> "Pieces":
        return self

    async def read(self, offset: int) -> AsyncGenerator[bytes]:
        for start in range(offset, len(self._data), self._size):
            yield self._data[start : start + self._size]


async def text_of(data: bytes, size: int = 7, encoding: Encoding | None = None, offset: int = 0) -> tuple[str, bytes]:
    """The encoding that a file turns out to have, and its text."""
    text = Text(Pieces(data, size), encoding or decoding.by_mark(data) or Encoding("utf-8", settled=False))  # type: ignore[arg-type]
    read = b"".join([piece async for piece in text.read(offset)])
    return text.encoding.name, read


NAMES = "Jürgen;Größe\nRenée;Café\n"


@pytest.mark.parametrize("size", [1, 2, 3, 100])
@pytest.mark.parametrize(
    ("data", "name", "expected"),
    [
        (NAMES.encode(), "utf-8", NAMES),
        (NAMES.encode("utf-8-sig"), "utf-8", "\ufeff" + NAMES),
        (NAMES.encode("utf-16"), "utf-16", NAMES),
        (NAMES.encode("utf-16-le"), "utf-16-le", NAMES),
        (NAMES.encode("utf-16-be"), "utf-16-be", NAMES),
        (NAMES.encode("cp1252"), "windows-1252", NAMES),
        ("a;b\n10 – 20 €;Šiška\x81\n".encode("cp1252", "ignore"), "windows-1252", "a;b\n10 – 20 €;Šiška\n"),
        (b"first\n" + b"\x81J\xfcrgen\n", "windows-1252", "first\n\x81Jürgen\n"),
        (("x;y\n" + NAMES).encode("cp1252") + "李\n".encode(), "windows-1252", "x;y\n" + NAMES + "李\n"),
    ],
)
async def test_the_encoding_is_found_out(data: bytes, name: str, expected: str, size: int) -> None:
    found, text = await text_of(data, size)
    assert (found, text.decode()) == (name, expected)


@pytest.mark.parametrize(
    "data",
    [
        b"a\n10 \x96 20\nb\n",
        NAMES.encode() * 3 + b"J\xfcrgen\n",
        b"\xff\x00\x01\n",
        "Иван;Петров\n".encode("cp1251"),
        "Wałęsa;Żółty;Święty;małość\n".encode("cp1250"),
    ],
)
async def test_bytes_that_do_not_make_words_are_bad_bytes_of_utf8(data: bytes) -> None:
    assert await text_of(data) == ("utf-8", data)


@pytest.mark.parametrize("encoding", ["utf-8", "windows-1252", "iso-8859-2", "shift_jis", "utf-16-le", "gb18030"])
async def test_the_encoding_that_the_caller_names_decides(encoding: str) -> None:
    text = "email\nWien\n" if encoding == "utf-8" else "email\n§\n"
    data = text.encode(encodings.codec(encoding))
    assert await text_of(data, encoding=Encoding(encoding)) == (encoding, text.encode())


@pytest.mark.parametrize("size", [1, 7, 100])
@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
async def test_a_file_said_to_be_wide_may_lack_its_mark(codec: str, size: int) -> None:
    encoding = Encoding(codec[:6])
    assert (await text_of(NAMES.encode(codec), size, encoding))[1].decode() == NAMES
    # As a file of other bytes is text of no known columns, and not a fault of ours.
    assert (await text_of(b"email", size, encoding))[0] == encoding.name


async def test_what_is_no_text_stays_as_bytes_that_are_none() -> None:
    assert (await text_of(b"a\x81b\xa5\n", encoding=Encoding("windows-1253")))[1] == b"a\x81b" + "¥\n".encode()
    lone = "ab".encode("utf-16-le") + b"\x00\xd8" + "c\n".encode("utf-16-le")
    assert (await text_of(lone, encoding=Encoding("utf-16-le")))[1] == b"ab\xd8c\n"


@given(
    st.lists(st.sampled_from([b"a", b"J\xfcrgen", "ü".encode(), b"\xe4", b"\xc3", "李".encode(), b"\n"]), max_size=20),
    st.data(),
)
async def test_what_is_read_from_the_middle_is_the_same(parts: list[bytes], data: Any) -> None:
    file = b"".join(parts)
    text = Text(Pieces(file, 7), Encoding("utf-8", settled=False))  # type: ignore[arg-type]
    whole = b"".join([piece async for piece in text.read(0)])
    for encoding in (Encoding("utf-8", settled=False), text.encoding):
        offset = data.draw(st.integers(0, len(whole)))
        assert (await text_of(file, data.draw(st.integers(1, 9)), encoding, offset))[1] == whole[offset:]


# --- workbooks


def workbook(*rows: Sequence[Any]) -> io.BytesIO:
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("People")
    for row in rows:
        sheet.append(row)
    book.save(file := io.BytesIO())
    file.seek(0)
    return file


def test_the_rows_of_a_sheet_are_lines_of_text() -> None:
    rows: list[list[Any]] = [
        ["first_name", "a\tb\nc", None],
        [],
        [49301234567.0, 1.5, 7, True, date(2026, 2, 3), datetime.fromisoformat("2026-02-03T14:05"), time(9, 30)],
        ['"Best" Pizza', 'The "Best"', "#N/A", "x_x000D_y", "=1+1", None, None],
    ]
    text = b"".join(Workbook(workbook(*rows)).text("People")).decode()
    assert text.split("\n") == [
        "first_name\ta b c",
        "",
        "49301234567\t1.5\t7\tTRUE\t2026-02-03\t2026-02-03 14:05:00\t09:30:00",
        '"""Best"" Pizza"\tThe "Best"\t\tx y',
        "",
    ]


@pytest.mark.parametrize(
    ("names", "what"),
    [
        ({"people.csv": b"a,b"}, r"not a spreadsheet \(people.csv\)"),
        ({"mimetype": b"application/vnd.oasis.opendocument.spreadsheet", "content.xml": b""}, "OpenDocument"),
        ({"xl/workbook.bin": b""}, "xlsb"),
        ({"word/document.xml": b""}, "Word"),
        ({"xl/workbook.xml": b"<"}, "damaged"),
    ],
)
def test_other_archives_are_named(names: dict[str, bytes], what: str) -> None:
    with zipfile.ZipFile(file := io.BytesIO(), "w") as archive:
        for name, data in names.items():
            archive.writestr(name, data)
    with pytest.raises(UnreadableFile, match=what):
        Workbook(file)
