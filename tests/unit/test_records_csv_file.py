"""How the rows of a file are told apart, and what a bad one costs."""

import csv
import io

import pytest
from connectra_common.records.columns import Columns
from connectra_common.records.csv_file import Row, Rows
from connectra_common.records.csv_records import MAX_ROW_BYTES, TOO_LONG, Splitter
from connectra_common.records.csv_rows import RowReader
from connectra_jobs.worker.csv_stream import Cutter
from hypothesis import given
from hypothesis import strategies as st

HEADER = ("first_name", "last_name", "email", "company")


def read(records: str | bytes, headers: tuple[str, ...] = HEADER, delimiter: str = ",") -> list[Row]:
    data = records.encode() if isinstance(records, str) else records
    return list(Rows(RowReader(Columns.read(headers)), data, delimiter, 2))


def people(rows: list[Row]) -> list[str]:
    return [str(row.contact.values["first_name"]).strip('"') for row in rows if row.contact]


def problems(rows: list[Row]) -> list[tuple[int, str]]:
    return [(row.line, row.problem) for row in rows if row.problem]


cells = st.text(st.sampled_from("ab\"', ;\n\réü\u2028"), max_size=8)


@given(st.lists(st.lists(cells, min_size=3, max_size=3), max_size=6), st.sampled_from(["\n", "\r\n", "\r"]))
def test_rows_that_are_written_properly_are_read_as_csv_reader_reads_them(rows: list[list[str]], ending: str) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=ending, quoting=csv.QUOTE_ALL).writerows(rows)
    data = text.getvalue().encode()
    splitter, start, found = Splitter(",", 0), 0, []
    while start < len(data):
        end, fault = splitter.row(data, start)
        assert fault is None
        found += list(csv.reader(io.StringIO(data[start:end].decode(), newline="")))
        start = end
    assert found == rows


@pytest.mark.parametrize(
    ("text", "stored", "refused"),
    [
        # never closed; a quote of a later row seems to close it
        ('jan,f,j@x.org,"Open Ltd\nkai,f,k@x.org,Plain\nliv,f,l@x.org,Plain\n', ["kai", "liv"], {2: "not closed"}),
        ('jan,f,j@x.org,"Open Ltd\nkai,f,k@x.org,B\nmax,f,m@x.org,"Closed"\n', ["kai", "max"], {2: "not closed"}),
        ('jan,f,j@x.org,"Open Ltd\nkai,f,k@x.org,B\nmax,f,m@x.org,Closed"\n', ["kai", "max"], {2: "not closed"}),
        ('"jan,f,j@x.org,Open Ltd\nkai,f,k@x.org,B\nmax",f,m@x.org,C\n', ["kai", "max"], {2: "not closed"}),
        ('jan,"f,j@x.org,Open Ltd\nkai,f,k@x.org,12""\n', ["kai"], {2: "not closed"}),
        # a short or wrong row among those that are swallowed
        (
            'jan,f,j@x.org,"Open\nbad\nkai,f,k@x.org,B\nmax,f,m@x.org,C"\n',
            ["kai", "max"],
            {2: "not closed", 3: "1 fields"},
        ),
        ('jan,f,"j@x.org\nkai,f,k@x.org\nmax,f,m@x.org"\n', ["kai", "max"], {2: "not closed"}),
        # not doubled
        ('gus,f,g@x.org,"The "Best" Pizza, Ltd"\nida,f,i@x.org,B\n', ["ida"], {2: "not doubled"}),
        ('"gus","f,"g@x.org","B"\n"ida","f","i@x.org","B"\n', ["ida"], {2: "not doubled"}),
        ('"gus","f","g@x.org","12" Pipe"\n"ida","f","i@x.org","B"\n', ["ida"], {2: "not doubled"}),
        # no faults: literal quotes, blanks before quotes, cells of several lines
        ('hal,f,h@x.org,12" Pipe Works\n', ["hal"], {}),
        ('ola, f, o@x.org, "Space, Ltd"\npat, f, p@x.org, B\n', ["ola", "pat"], {}),
        ('ann,f,a@x.org,"12 Quay\nDock 3"\nbob,f,b@x.org,B\n', ["ann", "bob"], {}),
        ('ann,f,a@x.org,"12 Quay\nSuite 3, Boston, MA, USA"\nbob,f,b@x.org,B\n', ["ann", "bob"], {}),
        ('ann,"f\ng",a@x.org,"12 Quay, Dock 3\nBoston"\rbob,f,b@x.org,B', ["ann", "bob"], {}),
        # cells at the end that are missing or too many
        ("abe,f,a@x.org\nbea,f\n", ["abe", "bea"], {}),
        ("abe,f,a@x.org,B,, ,\n", ["abe"], {}),
        ("abe,f,a@x.org,B,,x\nbea,f,b@x.org,B\n", ["bea"], {2: "6 fields"}),
        # no rows
        (",,,\n\r\n , ,,\n,\nabe,f,a@x.org,B\n", ["abe"], {}),
        ("abe,f,a@x.org,B\nfirst_name,last_name,email,company\nbea,f,b@x.org,B\n", ["abe", "bea"], {}),
        ('abe,f,a@x.org,B\n\ufefffirst_name,"last_name",email,company\n', ["abe"], {}),
        # notes below the table
        ("abe,f,a@x.org,B\n\nGrand totals: 1\n", ["abe"], {4: "1 fields"}),
    ],
)
def test_a_bad_row_costs_itself_and_nothing_else(text: str, stored: list[str], refused: dict[int, str]) -> None:
    rows = read(text)
    assert people(rows) == stored
    found = problems(rows)
    assert [line for line, _ in found] == list(refused)
    for (_, problem), expected in zip(found, refused.values(), strict=True):
        assert expected in problem


def test_a_row_that_lacks_most_cells_needs_more_than_a_name() -> None:
    headers = ("email", "first_name", "last_name", "company", "title")
    rows = read("a@x.org\nb@x.org,Bo\n,Copyright\n", headers)
    assert [str(row.contact.values["email"]) for row in rows if row.contact] == ["a@x.org", "b@x.org"]
    assert problems(rows) == [(4, "the row has 2 fields; the header has 5")]


def test_in_a_table_of_one_column_a_line_is_a_row() -> None:
    rows = read('"a@x.org\nb@x.org\nc@x.org"\nd@x.org\n', ("email",))
    assert problems(rows)[0] == (2, "a quote in it is not closed")
    assert [str(row.contact.values["email"]) for row in rows if row.contact][-1] == "d@x.org"


@pytest.mark.parametrize("odd", ["bad", "p,l", "", "p,l,p@x.org,more", "p, l, p@x.org"])
@pytest.mark.parametrize("close", ['zoe,z,zoe@x.org"', 'zoe,z,"zoe@x.org"'])
def test_an_odd_row_among_those_between_two_stray_quotes_does_not_take_the_others_with_it(odd: str, close: str) -> None:
    names = [f"p{n}" for n in range(20)]
    between = [f"{name},l,{name}@x.org" for name in names]
    between[7:7] = [odd]
    rows = read("\n".join(['ann,a,"ann@x.org', *between, close, ""]), ("first_name", "last_name", "email"))
    assert problems(rows)[0] == (2, "a quote in it is not closed")
    assert [name for name in people(rows) if name != "p"] == [*names, "zoe"]


def test_a_long_text_in_a_narrow_table_is_one_cell() -> None:
    text = "\n".join(["Met at the fair", *("Asked for prices, dates, and terms", "Berlin, again", "No answer") * 8])
    rows = read(f'ann@x.org,Ann,"{text}"\nbob@x.org,Bob,x\n', ("email", "first_name", "title"))
    assert (people(rows), problems(rows)) == (["ann", "bob"], [])


def test_a_byte_that_is_no_text_costs_its_row_and_is_named() -> None:
    rows = read(b"abe,f,a@x.org,B\nbea,f,b@x.org,10 \x96 20\n\xffcal,f,c@x.org,C\ndan,f,d@x.org,D\n")
    assert people(rows) == ["abe", "dan"]
    assert problems(rows) == [
        (3, "byte 0x96 at position 18 of the row is not text in the encoding of the file; encoding can say another"),
        (4, "byte 0xff at position 1 of the row is not text in the encoding of the file; encoding can say another"),
    ]
    assert rows[1].cells == ["bea", "f", "b@x.org", "10 \ufffd 20"]


def test_a_long_cell_is_one_row() -> None:
    long = 'ann,f,a@x.org,"' + "a line of text\n" * (MAX_ROW_BYTES // 10) + '"\n'
    rows = read(long + "bob,f,b@x.org,B\n")
    assert people(rows) == ["bob"]
    assert problems(rows) == [(2, f"the row is longer than {MAX_ROW_BYTES:,} bytes")]
    assert rows[1].line == MAX_ROW_BYTES // 10 + 3


@pytest.mark.parametrize("letter", ["x", "é", "語"])
@pytest.mark.parametrize(
    "length", [MAX_ROW_BYTES, MAX_ROW_BYTES + 1, MAX_ROW_BYTES + 2, MAX_ROW_BYTES + 3, 2 * MAX_ROW_BYTES]
)
def test_a_row_of_one_line_may_have_so_many_bytes_whatever_its_letters(letter: str, length: int) -> None:
    begin, end = "ann,f,", ",a@x.org\n"
    letters, rest = divmod(length - len(begin + end), len(letter.encode()))
    data = f"{begin}{letter * letters}{'x' * rest}{end}bob,f,B,b@x.org\n".encode()
    headers = ("first_name", "last_name", "title", "email")
    cutter = Cutter(Splitter(",", len(headers)), 0, 2, 100)
    rows = [row for b in (*cutter.feed(data), *cutter.finish()) for row in read(b.records, headers)]
    assert people(rows) == (["ann", "bob"] if length <= MAX_ROW_BYTES else ["bob"])
    assert [problem for _, problem in problems(rows)] == ([] if length <= MAX_ROW_BYTES else [TOO_LONG])


def test_rows_of_other_tables_are_told_apart_as_well() -> None:
    text = 'Zoe;F;z@x.org;"Short\nAbe;F;a@x.org;S;Bonn\nBea;F;b@x.org;S"\nCal;F;c@x.org;"12 Quay\nDock";;\n'
    rows = read(text, ("first_name", "last_name", "email", "company", "city", "mobile_phone"), ";")
    assert people(rows) == ["abe", "bea", "cal"]
    assert problems(rows) == [(2, "a quote in it is not closed")]


def test_a_header_that_stands_in_the_file_again_is_no_person() -> None:
    headers = ("First Name", "Last Name", "Email")
    rows = read("Ann,Lee,a@x.org\nFIRST NAME, Last name,EMAIL\nEmail,First Name,\nBo,Email,\n", headers)
    assert [(row.line, row.problem is None) for row in rows] == [(2, True), (4, False), (5, True)]
    assert (
        rows[1].problem
        == "the header again, with other columns; split the file here, its columns are read by its first header"
    )
    assert read("a@x.org\nEMAIL\n", ("Email",))[-1].cells == ["a@x.org"]
