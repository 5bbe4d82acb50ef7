"""How a batch of CSV bytes becomes records."""

import pytest
from connectra_common.errors import ValidationFailed
from connectra_common.records.fields import COMPANY, CONTACT
from connectra_common.records.identity import Record
from connectra_write.imports.parse import ImportBatch, Parsed, parse
from connectra_write.records.batches import ROWS, fold
from connectra_write.records.identities import Identities
from hypothesis import given
from hypothesis import strategies as st


def batch(
    records: bytes, columns: tuple[str, ...] = ("company", "employees", "company_city"), **more: object
) -> ImportBatch:
    values = {
        "job_uuid": "x",
        "number": 0,
        "records": records,
        "columns": columns,
        "delimiter": ",",
        "first_line": 2,
        "byte_start": 100,
        "byte_end": 100 + len(records),
    }
    return ImportBatch(**{**values, **more})  # type: ignore[arg-type]


def companies(parsed: Parsed) -> dict[str, Record]:
    """What would be written into an empty database."""
    nothing_stored = {entity: Identities(entity, (), (), ROWS.by) for entity in (COMPANY, CONTACT)}
    return fold(parsed.batch, ROWS, nothing_stored, set()).written[COMPANY]


def test_later_rows_are_laid_over_earlier_ones_and_empty_cells_leave_what_is_there() -> None:
    parsed = parse(batch(b"Acme,5,Berlin\nAcme,,Paris\nAcme,7,\n"))
    (company,) = companies(parsed).values()
    assert (company["employees_count"], company["city"]) == (7, "paris")


@given(
    st.lists(
        st.sampled_from(["Acme,5,", "Acme,,Rome", "Bolt,1,Oslo", "Acme,-1,", ",,", "Bolt,,", 'Ac"me,3,x']), max_size=12
    )
)
def test_the_result_does_not_depend_on_where_batches_are_cut(rows: list[str]) -> None:
    def merged(parts: list[list[str]]) -> dict[str, object]:
        stored: dict[str, dict[str, object]] = {}
        for part in parts:
            for uuid, record in companies(parse(batch("".join(f"{row}\n" for row in part).encode()))).items():
                stored.setdefault(uuid, {}).update(record)
        return stored  # type: ignore[return-value]

    assert merged([rows]) == merged([[row] for row in rows])


def test_bad_rows_are_reported_with_line_reason_and_text_and_the_others_stored() -> None:
    parsed = parse(batch(b'!!,-5,Berlin\r\n\r\n"Bo\nlt",3,Oslo\r\nshort\r\n,7,\r\n"Zed",1,"a\nb",x\r\n,,\r\n'))
    assert [company["name"] for company in companies(parsed).values()] == ["Bo lt"]
    assert [(r.line, r.record) for r in parsed.rejected] == [
        (2, "!!,-5,Berlin"),
        (6, "short"),
        (7, ",7,"),
        (8, '"Zed",1,"a\nb",x'),
    ]
    assert [r.reason.split(";")[0] for r in parsed.rejected] == [
        "nothing identifies a company or a person (employees: '-5' is negative",
        "the row has 1 fields",
        "nothing identifies a company or a person",
        "the row has 4 fields",
    ]
    assert (parsed.rows, parsed.next_line) == (5, 11)


def test_a_record_with_a_nul_is_reported_in_a_text_that_can_be_stored() -> None:
    (rejected,) = parse(batch(b"Ac\x00me,5,Bonn\n")).rejected
    assert (rejected.reason.split(",")[0], rejected.record) == (
        "company: contains a NUL character",
        "Ac\ufffdme,5,Bonn",
    )


def test_bytes_that_are_not_utf8_cost_their_row() -> None:
    parsed = parse(batch("Müller,5,x\n".encode("latin-1") + b"Acme,5,x\n"))
    assert [company["name"] for company in companies(parsed).values()] == ["Acme"]
    assert [(r.line, r.record) for r in parsed.rejected] == [(2, "M\ufffdller,5,x")]
    assert "byte 0xfc at position 2" in parsed.rejected[0].reason


def test_a_file_without_a_known_column_is_refused() -> None:
    with pytest.raises(ValidationFailed, match="no known column"):
        parse(batch(b"1,2,3\n", columns=("a", "b", "c")))


def test_other_delimiters() -> None:
    parsed = parse(batch(b"Acme;5;Berlin\n", delimiter=";"))
    assert [c["city"] for c in companies(parsed).values()] == ["berlin"]


def test_a_row_that_the_parser_refuses_is_one_of_the_rows() -> None:
    parsed = parse(batch(b"Acme,5,Berlin\n" + b"x" * (4 * 1024 * 1024 + 1) + b",1,Oslo\n"))
    assert (parsed.rows, len(parsed.rejected), len(companies(parsed))) == (2, 1, 1)


def test_columns_mean_what_the_caller_found_out() -> None:
    parsed = parse(batch(b"x,Acme,7\n", ("first_name", "Who", "Crew"), targets=("", "company", "employees")))
    (company,) = companies(parsed).values()
    assert (company["name"], company["employees_count"], parsed.batch.rows[0].contact) == ("Acme", 7, None)


@pytest.mark.parametrize("targets", [("company",), ("company", "employes", "")])
def test_targets_that_do_not_fit_are_refused(targets: tuple[str, ...]) -> None:
    with pytest.raises(ValidationFailed, match=r"targets must be|did you mean 'employees'"):
        parse(batch(b"a,b,c\n", targets=targets))
