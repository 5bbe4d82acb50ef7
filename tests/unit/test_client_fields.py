"""Fields of records as they are typed at a terminal."""

import pytest
from connectra_client.errors import ClientError
from connectra_client.fields import LISTS, NUMBERS, read_fields
from connectra_common.records.fields import COMPANY, CONTACT, Type


def test_values_become_what_their_fields_are() -> None:
    options = ["title=VP, Sales", "departments=sales,it", 'departments="a, b"', "employees_count=120", "city="]
    assert read_fields(options) == {
        "title": "VP, Sales",
        "departments": ["sales", "it", "a, b"],
        "employees_count": 120,
        "city": "",
    }
    assert read_fields(["employees_count=", "keywords="]) == {"employees_count": None, "keywords": []}
    assert read_fields(["keywords=a\nb,c\r\n"]) == {"keywords": ["a b", "c"]}
    assert read_fields(["website=https://a.example/?b=c"]) == {"website": "https://a.example/?b=c"}


@pytest.mark.parametrize("option", ["title", "=VP", "employees_count=many"])
def test_a_field_that_is_none_is_refused_in_the_words_of_the_option(option: str) -> None:
    with pytest.raises(ClientError, match="-f "):
        read_fields([option])


def test_the_client_knows_which_fields_are_no_texts() -> None:
    fields = [field for entity in (COMPANY, CONTACT) for field in entity.writable]
    assert {field.name for field in fields if field.type is Type.LIST} == LISTS
    assert {field.name for field in fields if field.type is Type.INTEGER} == NUMBERS
