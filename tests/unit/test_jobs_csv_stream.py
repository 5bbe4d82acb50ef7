"""Cutting CSV bytes into batches: whole rows, wherever the bytes are cut."""

import time

import pytest
from connectra_common.records.csv_records import MAX_ROW_BYTES, TOO_LONG, Splitter, count_lines
from connectra_jobs.worker.csv_stream import Batch, Cutter
from hypothesis import example, given
from hypothesis import strategies as st

# Pieces that reach every state of the splitter: quotes opening, doubled, stray, closed late; all line ends; other scripts.
pieces = st.sampled_from(
    ['"', '""', '"a"', ",", ";", "\n", "\r", "\r\n", "a", "b c", "ü", "x" * 50, " ", "\x0b", "\u2028", "a,b,c,d\n"]
)
texts = st.lists(pieces, max_size=60).map("".join)
cuts = st.lists(st.integers(1, 40), max_size=30)
delimiters = st.sampled_from([",", ";", "\t", "|"])
widths = st.integers(0, 5)
# How long a row may be: shorter than most texts, or longer than all.
limits = st.sampled_from([1, 7, 30, 100, 1 << 20])


def cut(splitter: Splitter, data: bytes, sizes: list[int], rows: int = 3, max_bytes: int = 1 << 20) -> list[Batch]:
    cutter = Cutter(splitter, 100, 2, rows, max_bytes)
    batches: list[Batch] = []
    position = 0
    for size in sizes:
        batches += cutter.feed(data[position : position + size])
        position += size
    batches += cutter.feed(data[position:])
    return batches + list(cutter.finish())


def split(splitter: Splitter, data: bytes) -> list[tuple[bytes, str | None]]:
    rows, start = [], 0
    while start < len(data):
        end, fault = splitter.row(data, start)
        rows.append((data[start:end], fault))
        start = end
    return rows


@given(texts, cuts, delimiters, widths, limits, st.integers(1, 5))
@example('a,"b\r\nc",d\r\n"e""f",g\n', [5, 1, 1], ",", 3, 1 << 20, 1)
@example("a\r\nb\r\n", [2], ",", 1, 1 << 20, 5)
@example('"aaaaaaaa\r\nb,c,d,e\n"f\n', [11], ",", 4, 10, 1)
def test_the_rows_of_the_batches_are_those_of_the_file(
    text: str, sizes: list[int], delimiter: str, width: int, limit: int, max_rows: int
) -> None:
    data, splitter = text.encode(), Splitter(delimiter, width, limit)
    batches = cut(splitter, data, sizes, max_rows)

    rows, offset, line = split(splitter, data), 100, 2
    for batch in batches:
        assert (batch.byte_start, batch.first_line) == (offset, line)
        assert 0 < batch.rows <= max_rows
        expected, rows = rows[: batch.rows], rows[batch.rows :]
        whole = b"".join(row for row, _ in expected)
        found = split(splitter, batch.records)
        if expected[0][1] == TOO_LONG:  # its beginning and as many line ends
            assert found[0][1] == TOO_LONG
            assert not b"".join(row for row, _ in found[1:]).strip(b"\n")
            assert len(batch.records) <= max(limit + 1, count_lines(whole) + limit + 2)
        else:
            assert (batch.records, found) == (whole, expected)
        offset, line = offset + len(whole), line + count_lines(whole)
        assert batch.byte_end == offset
        assert count_lines(batch.records) == count_lines(whole)
    assert not rows


@given(texts, cuts, widths, limits)
def test_where_the_bytes_are_cut_changes_nothing(text: str, sizes: list[int], width: int, limit: int) -> None:
    splitter = Splitter(",", width, limit)
    assert cut(splitter, text.encode(), sizes) == cut(splitter, text.encode(), [])


def test_a_batch_is_full_by_rows_or_bytes() -> None:
    data = b"aaaa,bbbb\n" * 10
    assert [b.rows for b in cut(Splitter(",", 2), data, [], rows=4)] == [4, 4, 2]
    assert [b.rows for b in cut(Splitter(",", 2), data, [], rows=100, max_bytes=25)] == [3, 3, 3, 1]


def test_a_long_row_is_one_row_whatever_is_in_it_and_is_not_kept() -> None:
    long = b'a,"' + b"some text\r\n" * 200_000 + b'",b,c\n'
    assert len(long) > 2 * MAX_ROW_BYTES
    data = b"a,b,c,d\n" + long + b"e,f,g,h\n"
    batches = cut(Splitter(",", 4), data, [1 << 16] * 40, rows=10)
    assert [(b.rows, b.first_line, b.byte_end - b.byte_start) for b in batches] == [
        (1, 2, 8),
        (1, 3, len(long)),
        (1, 200_004, 8),
    ]
    assert len(batches[1].records) < MAX_ROW_BYTES + 200_100


def test_a_long_line_of_two_byte_characters_is_one_row() -> None:
    data = b"ax," + "é".encode() * 1_300_000 + b",b\nc,d,e\n"
    batches = cut(Splitter(",", 3), data, [1 << 16] * 50, rows=10)
    assert [(b.rows, b.byte_end - b.byte_start) for b in batches] == [(1, 2_600_006), (1, 6)]


@pytest.mark.parametrize("width", [0, 3])
@pytest.mark.parametrize("cell", [b'"a",', b'"\n",', b'"\r",', b'"""",', b' "a" ,'])
def test_a_row_of_quotes_takes_time_by_its_length_alone(cell: bytes, width: int) -> None:
    data = cell * 20_000 + b'"a"b\n'
    began, at = time.process_time(), 0
    while at < len(data):
        at, _ = Splitter(",", width).row(data, at)
    assert time.process_time() - began < 1
