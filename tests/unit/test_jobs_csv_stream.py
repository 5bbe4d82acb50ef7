"""Cutting CSV bytes into batches: the records are those of csv.reader, wherever the bytes are cut."""

import csv
import io

import pytest
from connectra_jobs.worker import csv_stream
from connectra_jobs.worker.csv_stream import Batch, Cutter, UnreadableFile, check_utf8, count_lines, read_header
from hypothesis import example, given
from hypothesis import strategies as st

# Pieces that reach every state of the reader: quotes opening, doubled, stray, closed late; all line ends; other scripts.
pieces = st.sampled_from(
    ['"', '""', ",", ";", "\n", "\r", "\r\n", "a", "b c", "ü", "x" * 50, " ", "\x0b", "\u2028", "'", "\\"]
)
texts = st.lists(pieces, max_size=60).map("".join)
cuts = st.lists(st.integers(1, 40), max_size=30)
delimiters = st.sampled_from(csv_stream.DELIMITERS)


def reference(text: str, delimiter: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))


def closed(text: str, delimiter: str) -> bool:
    """Whether the last record ends outside of quotes: one more line is then one more record."""
    whole = text if text.endswith(("\n", "\r")) else text + "\n"
    return len(reference(whole + "z\n", delimiter)) == len(reference(text, delimiter)) + 1


def cut(data: bytes, sizes: list[int], delimiter: str = ",", rows: int = 3, max_bytes: int = 1 << 20) -> list[Batch]:
    cutter = Cutter(delimiter, 100, 2, rows, max_bytes)
    batches: list[Batch] = []
    position = 0
    for size in sizes:
        batches += cutter.feed(data[position : position + size])
        position += size
    batches += cutter.feed(data[position:])
    return batches + list(cutter.finish())


@given(texts, cuts, delimiters, st.integers(1, 5))
@example('a,"b\r\nc",d\r\n"e""f",g\n', [5, 1, 1], ",", 1)
@example("a\r\nb\r\n", [2], ",", 5)
def test_records_are_those_of_csv_reader_whatever_the_cuts(
    text: str, sizes: list[int], delimiter: str, rows: int
) -> None:
    data = text.encode()
    batches = cut(data, sizes, delimiter, rows)

    assert b"".join(batch.records for batch in batches) == data
    offset, line = 100, 2
    for batch in batches:
        assert (batch.byte_start, batch.byte_end) == (offset, offset + len(batch.records))
        assert batch.first_line == line
        assert batch.rows <= rows
        offset, line = batch.byte_end, line + count_lines(batch.records)
    if closed(text, delimiter):
        parsed = [reference(batch.records.decode(), delimiter) for batch in batches]
        assert [row for records in parsed for row in records] == reference(text, delimiter)
        assert [len(records) for records in parsed] == [batch.rows for batch in batches]


@given(texts, cuts)
def test_where_the_bytes_are_cut_changes_nothing(text: str, sizes: list[int]) -> None:
    assert cut(text.encode(), sizes) == cut(text.encode(), [])


@given(texts)
def test_lines_are_counted_as_csv_reader_counts_them(text: str) -> None:
    reader = csv.reader(io.StringIO(text, newline=""))
    for _ in reader:
        pass
    unfinished = 0 if not text or text.endswith(("\n", "\r")) else 1
    assert count_lines(text.encode()) + unfinished == reader.line_num


def test_a_batch_is_full_by_rows_or_bytes() -> None:
    data = b"aaaa,bbbb\n" * 10
    assert [b.rows for b in cut(data, [], rows=4)] == [4, 4, 2]
    assert [b.rows for b in cut(data, [], rows=100, max_bytes=25)] == [3, 3, 3, 1]


def test_a_quote_that_is_never_closed_costs_its_own_line_only() -> None:
    data = b'a,b\n"stray,b\nc,d\ne,f\n'
    assert [b.records for b in cut(data, [3, 3, 3], rows=10)] == [b"a,b\n", b'"stray,b\n', b"c,d\ne,f\n"]


def test_a_record_beyond_the_limit_costs_its_own_line_only() -> None:
    good = b"some,row\n" * (csv_stream.MAX_RECORD_BYTES // 9 + 10)
    data = b'a,b\n"stray,b\n' + good + b'c,"d"\n'
    batches = cut(data, [1 << 16] * 30, rows=10_000_000, max_bytes=1 << 30)
    assert [b.records for b in batches] == [b"a,b\n", b'"stray,b\n', good + b'c,"d"\n']
    assert batches[2].first_line == 4


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
    header = read_header(data, whole=True)
    assert header is not None
    assert (header.delimiter, header.cells) == (delimiter, cells)


def test_the_header_says_where_the_rows_begin() -> None:
    header = read_header(b'\xef\xbb\xbf\n"first_name","x\ny"\r\n1,2\n', whole=True)
    assert header is not None
    assert (header.byte_end, header.next_line, header.unknown) == (24, 4, ("x\ny",))


@pytest.mark.parametrize("data", [b"", b"\xef", b"first_name,ema", b'first_name,"x\n', b"email\r"])
def test_a_header_that_is_not_all_there_waits(data: bytes) -> None:
    assert read_header(data, whole=False) is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"\xef\xbb\xbf\r\n", "empty"),
        (b"foo,bar\n1,2\n", "no known column"),
        (b"email,first_name,Email\n", "twice"),
        (b"email,na\xefme\n", "offset 8"),
        (b"\xff\xfee\x00m\x00a\x00", "offset 0"),
        (b'"email,name\n', "no end"),
    ],
)
def test_an_unreadable_header_is_refused_clearly(data: bytes, message: str) -> None:
    with pytest.raises(UnreadableFile, match=message):
        read_header(data, whole=True)


def test_a_wrong_byte_is_named_by_its_offset_and_line() -> None:
    with pytest.raises(UnreadableFile, match=r"0xfc at offset 14 \(line 8\)"):
        check_utf8(Batch(b"a\nb\xfc\n", 2, 7, 11, 16))
