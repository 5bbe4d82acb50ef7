"""What a record may be: the documented rules, for every door."""

from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pytest
from connectra_common.errors import FieldViolation, ValidationFailed
from connectra_common.records import ids
from connectra_common.records.fields import COMPANY, CONTACT, ENTITIES, Entity, Type
from connectra_write.records.validation import Checked, Mode, candidate, check, warnings
from hypothesis import given
from hypothesis import strategies as st

UUID = "00c5752b-4b70-5e55-a027-63ae68753a52"
ANN = {"first_name": "Ann", "last_name": "Lee", "email": "Ann@Acme.com"}


def messages(entity: Entity, record: object, mode: Mode = Mode.CREATE) -> list[str]:
    return [violation.message for violation in check(entity, record, mode).violations]


def values(entity: Entity, record: object, mode: Mode = Mode.CREATE) -> dict[str, Any]:
    checked = check(entity, record, mode)
    assert checked.violations == ()
    return checked.values


@pytest.mark.parametrize(
    ("entity", "record", "message"),
    [
        (COMPANY, {}, "name is required"),
        (COMPANY, {"name": "  "}, "name is required"),
        (COMPANY, {"name": "!?"}, "name must have a letter or a digit"),
        (COMPANY, {"name": 5}, "name must be a text"),
        (COMPANY, {"website": "acme"}, "invalid website URL format: acme"),
        (COMPANY, {"website": "https://[::1/"}, "invalid website URL format: https://[::1/"),
        (COMPANY, {"website": "https://"}, "invalid website URL format: https://"),
        (COMPANY, {"facebook_url": "ftp://x.com"}, "invalid Facebook URL format: ftp://x.com"),
        (COMPANY, {"twitter_url": "https://acme .com"}, "invalid Twitter URL format: https://acme .com"),
        (
            COMPANY,
            {"linkedin_url": "https://evil.com/linkedin.com/"},
            "invalid LinkedIn URL format: https://evil.com/linkedin.com/ (must start with https://linkedin.com/)",
        ),
        (COMPANY, {"employees_count": -1}, "employees_count must be non-negative, got: -1"),
        (COMPANY, {"annual_revenue": 1.5}, "annual_revenue must be a whole number"),
        (COMPANY, {"annual_revenue": "5"}, "annual_revenue must be a whole number"),
        (COMPANY, {"total_funding": True}, "total_funding must be a whole number"),
        (COMPANY, {"latest_funding_amount": 2**63}, "latest_funding_amount must be at most 9223372036854775807"),
        (COMPANY, {"uuid": UUID[:-1]}, f"invalid UUID format: {UUID[:-1]}"),
        (
            COMPANY,
            {"normalized_domain": "localhost"},
            "invalid normalized_domain format: localhost (must be a domain such as example.com)",
        ),
        (COMPANY, {"industries": "software"}, "industries must be a list of texts"),
        (COMPANY, {"keywords": ["a", None]}, "keywords must be a list of texts"),
        (COMPANY, {"keywords": ["x"] * 5001}, "keywords has 5001 items; at most 5000 are allowed"),
        (COMPANY, {"technologies": ["x" * 1001]}, "technologies has an item of more than 1000 characters"),
        (COMPANY, {"address": "x" * 8001}, "address has 8001 characters; at most 8000 are allowed"),
        (COMPANY, {"city": "Bo\x00nn"}, "city contains a NUL character, which cannot be stored"),
        (COMPANY, {"keywords": ["\x00"]}, "keywords contains a NUL character, which cannot be stored"),
        (
            COMPANY,
            {"phone_number": "4.9E+11"},
            "phone_number '4.9E+11' has lost digits to a spreadsheet; format the column as text and export it again",
        ),
        (CONTACT, {"mobile_phone": "030 12\x0034"}, "mobile_phone contains a NUL character, which cannot be stored"),
        (CONTACT, {"first_name": ""}, "first_name is required"),
        (CONTACT, {"last_name": None}, "last_name is required"),
        (CONTACT, {"email": " "}, "email is required"),
        (CONTACT, {"email": "ann@acme"}, "invalid email format: ann@acme"),
        (CONTACT, {"email": "a" * 320 + "@acme.com"}, "email has 329 characters; at most 320 are allowed"),
        (CONTACT, {"company_id": "acme"}, "invalid company_id: invalid UUID format: acme"),
        (CONTACT, {"website": "x"}, "invalid website URL format: x"),
        (CONTACT, {"mobile_phone": 4155550100}, "mobile_phone must be a text"),
        (CONTACT, {"departments": {}}, "departments must be a list of texts"),
    ],
)
def test_what_is_wrong_is_said_in_the_documented_words(entity: Entity, record: dict[str, Any], message: str) -> None:
    good = {"name": "Acme"} if entity is COMPANY else ANN
    checked = check(entity, {**good, **record} if record else {}, Mode.CREATE)
    assert [v.message for v in checked.violations] == [message]
    assert not record or checked.violations[0].field in record


def test_all_violations_are_told_in_the_documented_order() -> None:
    wrong = {"uuid": "x", "employees_count": -1, "twitter_url": "x", "website": "y", "name": "", "industries": 3}
    fields = [violation.field for violation in check(COMPANY, wrong, Mode.CREATE).violations]
    assert fields == ["name", "website", "twitter_url", "employees_count", "industries", "uuid"]
    assert messages(CONTACT, {}) == ["first_name is required", "last_name is required", "email is required"]


@pytest.mark.parametrize(
    ("entity", "record", "mode", "expected"),
    [
        (COMPANY, {}, Mode.UPDATE, []),
        (COMPANY, {"name": ""}, Mode.UPDATE, ["name is required"]),
        (COMPANY, {"uuid": UUID}, Mode.UPSERT, ["name is required"]),
        (COMPANY, {"uuid": UUID}, Mode.BULK, []),
        (COMPANY, {"uuid": UUID, "name": None}, Mode.BULK, ["name is required"]),
        (COMPANY, {"city": "Bonn"}, Mode.BULK, ["name is required"]),
        (COMPANY, {"employees_count": -1}, Mode.UPDATE, ["employees_count must be non-negative"]),
        (CONTACT, {}, Mode.UPDATE, []),
        (CONTACT, {"email": None}, Mode.UPDATE, []),
        (CONTACT, {"uuid": UUID}, Mode.UPSERT, []),
        (CONTACT, {"email": "a@b.de"}, Mode.UPSERT, []),
        (CONTACT, {"first_name": "Ann"}, Mode.UPSERT, ["either email or UUID is required for upsert"]),
        (CONTACT, {"email": "x"}, Mode.BULK, ["invalid email format: x"]),
        (CONTACT, "Ann", Mode.BULK, ["a record must be a JSON object"]),
    ],
)
def test_what_must_be_there_depends_on_what_is_done(
    entity: Entity, record: object, mode: Mode, expected: list[str]
) -> None:
    assert messages(entity, record, mode) == expected


def test_contacts_are_normalised() -> None:
    given = {
        **ANN,
        "city": " München ",
        "seniority": "SENIOR",
        "title": " VP  Sales\u200b",
        "linkedin_url": "HTTPS://LinkedIn.com/in/Ann ",
        "mobile_phone": "(415) 555-0100",
        "other_phone": "n/a",
        "departments": ["Sales", "Sales"],
    }
    assert values(CONTACT, given) == {
        "first_name": "ann",
        "last_name": "lee",
        "email": "ann@acme.com",
        "city": "münchen",
        "seniority": "senior",
        "title": "VP Sales",
        "linkedin_url": "https://linkedin.com/in/ann",
        "mobile_phone": "4155550100",
        "other_phone": None,
        "departments": ["Sales", "Sales"],
    }


@pytest.mark.parametrize(
    ("record", "domain"),
    [
        ({"website": "https://www.Acme.com:8080/about?x"}, "acme.com"),
        ({"website": "http://user@müller.de"}, "müller.de"),
        ({"website": "https://acme.com", "normalized_domain": "Bolt.IO"}, "bolt.io"),
        ({"website": "https://localhost/"}, None),
        ({"website": "https://10.0.0.1"}, None),
        ({"website": "acme.com/x"}, "acme.com"),
        ({"website": "https://www.facebook.com/acme"}, None),
        ({"website": "https://gmail.com"}, None),
        ({"website": "https://acme.github.io"}, "acme.github.io"),
        ({}, None),
    ],
)
def test_the_domain_of_a_company_is_that_of_its_website_unless_given(
    record: dict[str, str], domain: str | None
) -> None:
    assert values(COMPANY, {"name": "Acme", **record}).get("normalized_domain") == domain
    assert "normalized_domain" not in values(COMPANY, {"website": "https://acme.com"}, Mode.UPDATE)


def test_what_is_given_empty_is_none_and_what_is_not_given_is_not_there() -> None:
    given: dict[str, Any] = {
        "city": None,
        "state": "",
        "country": " ",
        "keywords": [],
        "employees_count": None,
        "total_funding": 0,
    }
    expected = {
        "city": None,
        "state": None,
        "country": None,
        "keywords": None,
        "employees_count": None,
        "total_funding": 0,
    }
    assert values(COMPANY, given, Mode.UPDATE) == expected


def test_fields_of_the_server_are_ignored_and_unknown_ones_named() -> None:
    record = {"name": "Acme", "id": "x", "created_at": 5, "row_version": 1, "cursor": [], "nmae": "x", "zzz": 1}
    assert values(COMPANY, record) == {"name": "Acme"}
    found = warnings(COMPANY, record, "data[3]")
    assert [w["field"] for w in found] == ["data[3].nmae", "data[3].zzz"]
    assert found[0]["message"] == "unknown field 'nmae'; did you mean 'name'?"
    many = warnings(CONTACT, {f"x{n}": 1 for n in range(500)}, "data[3]")
    assert (len(many), many[-1]) == (11, {"field": "data[3]", "message": "490 more unknown fields"})


def test_the_documented_uuids_are_derived() -> None:
    company = {"name": "Acme, Inc", "linkedin_url": "http://www.linkedin.com/company/Acme"}
    assert candidate(COMPANY, Checked(values(COMPANY, company))).recipe == UUID
    jane = {
        "first_name": "Jane",
        "last_name": "DOE",
        "email": "j@d.com",
        "linkedin_url": "http://www.linkedin.com/in/Jane-Doe/",
    }
    assert candidate(CONTACT, Checked(values(CONTACT, jane))).recipe == "700deee5-ef00-52fa-b669-6d589a9cc1de"


def test_a_record_that_has_a_uuid_gets_none() -> None:
    named = candidate(CONTACT, Checked(values(CONTACT, {"uuid": UUID, "email": "j@d.com"}, Mode.UPSERT)))
    assert (named.uuid, named.recipe, named.values) == (UUID, None, {"email": "j@d.com"})
    updated = candidate(CONTACT, Checked({"title": "CEO"}), UUID)
    assert (updated.uuid, updated.recipe, updated.values) == (UUID, None, {"title": "CEO"})


@pytest.mark.parametrize("spelling", [UUID, UUID.upper(), UUID.replace("-", ""), UUID.replace("-", "").upper()])
def test_a_uuid_in_any_usual_spelling_is_stored_in_one(spelling: str) -> None:
    assert ids.checked_uuid(spelling) == UUID
    assert check(COMPANY, {"name": "x", "uuid": spelling}, Mode.CREATE).values["uuid"] == UUID
    assert check(CONTACT, {"company_id": spelling}, Mode.UPDATE).values["company_id"] == UUID


@pytest.mark.parametrize(
    "text", ["", "acme", UUID[:-1], UUID + "0", "0-" * 16, UUID.replace("-", "", 1), f"{{{UUID}}}"]
)
def test_what_is_not_a_uuid_is_refused_by_its_field(text: str) -> None:
    with pytest.raises(ValidationFailed, match="invalid UUID format") as caught:
        ids.checked_uuid(text, "job_uuid")
    assert caught.value.fields == (FieldViolation("job_uuid", f"invalid UUID format: {text}"),)


@given(st.text())
def test_uuids_are_those_of_the_standard(name: str) -> None:
    assert ids.uuid5(name) == str(uuid5(NAMESPACE_URL, name))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from([UUID, "a@b.de", "https://x.y"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@pytest.mark.parametrize("entity", ENTITIES.values(), ids=list(ENTITIES))
@given(data=st.data(), mode=st.sampled_from(Mode))
def test_any_json_is_either_refused_by_field_or_fit_for_the_tables(
    entity: Entity, data: st.DataObject, mode: Mode
) -> None:
    record = data.draw(st.dictionaries(st.sampled_from((*entity.columns, "else")), JSON) | JSON)
    checked = check(entity, record, mode)
    if checked.violations:
        assert all(
            v.message and (v.field in entity.columns or not isinstance(record, dict)) for v in checked.violations
        )
        return
    for name, value in checked.values.items():
        field = entity.by_name[name]
        assert not field.read_only
        kinds = {Type.INTEGER: int, Type.LIST: list}
        assert value is None or isinstance(value, kinds.get(field.type, str))
        assert value not in ("", [])
        assert "\x00" not in str(value)
        if isinstance(value, int):
            assert 0 <= value < 2**63
    again = check(entity, checked.values, mode)
    assert again.values == checked.values
    if mode is not Mode.UPDATE and "uuid" not in checked.values:
        assert ids.is_uuid(str(candidate(entity, checked).recipe))
