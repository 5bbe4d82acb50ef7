"""Keys: which spellings are one, and what identifies nobody."""

import pytest
from connectra_common.records import keys
from connectra_common.records.fields import COMPANY, CONTACT, Entity
from connectra_common.records.identity import Candidate
from connectra_common.records.keys import DOMAIN, EMAIL, URL, Key
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("kind", "spellings", "form"),
    [
        (EMAIL, ["Jane.Doe@ACME.com", " jane.doe@acme.com"], "jane.doe@acme.com"),
        (EMAIL, ["info@xn--mller-fc-65a.example", "Info@MÜLLER-fc.example"], "info@müller-fc.example"),
        (EMAIL, ["mail@example.xn--p1ai", "mail@example.рф"], "mail@example.рф"),
        (DOMAIN, ["Acme.com", "www.acme.com", "https://www.acme.com/about", "acme.com.", "acme.com:8080"], "acme.com"),
        (DOMAIN, ["xn--mller-kva.de", "http://MÜLLER.de", "mu\u0308ller.de"], "müller.de"),
        (DOMAIN, ["blog.acme.co.uk"], "blog.acme.co.uk"),
        (
            URL,
            [
                "https://www.linkedin.com/in/Jane-Doe",
                "http://linkedin.com/in/jane-doe/",
                "de.linkedin.com/in/jane-doe?trk=x#about",
                "//WWW.LINKEDIN.COM/in/jane%2Ddoe",
                "https://www.linkedin.com/m/in/jane-doe",
                "https://www.linkedin.com/mwlite/in/jane-doe/",
                "https://www.linkedin.com/comm/in/jane-doe?midToken=x",
                "https://www.linkedin.com/in//jane-doe/overlay/contact-info/",
                "https://www.linkedin.com/in/jane-doe/de",
            ],
            "linkedin.com/in/jane-doe",
        ),
        (
            URL,
            ["https://linkedin.com/in/J%C3%A9an", "https://fr.linkedin.com/in/JÉAN", "linkedin.com/in/je\u0301an"],
            "linkedin.com/in/jéan",
        ),
        (URL, ["https://www.xing.com/profile/Jane_Doe/"], "xing.com/profile/jane_doe"),
        (URL, ["https://www.linkedin.com/pub/jane/1/2/3/"], "linkedin.com/pub/jane/1/2/3"),
    ],
)
def test_spellings_of_one_thing_are_one_key(kind: str, spellings: list[str], form: str) -> None:
    entity = COMPANY if kind == DOMAIN else CONTACT
    assert {keys.read(entity, kind, spelled) for spelled in spellings} == {Key(kind, form)}


@pytest.mark.parametrize(
    ("entity", "kind", "value"),
    [
        (COMPANY, DOMAIN, "gmail.com"),
        (COMPANY, DOMAIN, "https://www.GMAIL.com/"),
        (CONTACT, URL, "https://www.linkedin.com/in/"),
        (CONTACT, URL, "https://linkedin.com"),
        (CONTACT, URL, "https://www.linkedin.com/in/?x=1"),
        (CONTACT, URL, "https://www.linkedin.com/company/acme"),
        (CONTACT, URL, "https://www.linkedin.com/search/results/people/?keywords=jane"),
        (CONTACT, URL, "https://www.linkedin.com/profile/view?id=12345"),
        (CONTACT, URL, "https://www.linkedin.com/sales/company/12345"),
        (COMPANY, URL, "https://www.linkedin.com/edu/school?id=18483"),
        (COMPANY, URL, "https://www.linkedin.com/company/unavailable/"),
        (CONTACT, URL, "https://www.linkedin.com/in/unavailable"),
        (CONTACT, URL, "https://www.linkedin.com/in/undefined?trk=x"),
        (CONTACT, EMAIL, None),
        (CONTACT, URL, ""),
    ],
)
def test_what_identifies_nobody_is_no_key(entity: Entity, kind: str, value: str | None) -> None:
    assert keys.read(entity, kind, value) is None


@pytest.mark.parametrize(
    ("entity", "value"),
    [
        (CONTACT, "linkedin.com/pub/jane/1/2/3"),
        (CONTACT, "linkedin.com/sales/lead/acwaab,x,y"),
        (CONTACT, "linkedin.com/company-of-one/jane"),
        (CONTACT, "linkedin.com/in/nonette"),
        (COMPANY, "linkedin.com/company/acme"),
        (COMPANY, "linkedin.com/school/acme"),
        (COMPANY, "linkedin.com/showcase/acme"),
        (COMPANY, "linkedin.com/in/jane-of-acme"),
    ],
)
def test_pages_of_their_own_are_keys(entity: Entity, value: str) -> None:
    assert keys.read(entity, URL, f"https://www.{value}") == Key(URL, value)


def test_only_what_was_given_is_a_key() -> None:
    values = {"name": "Acme", "normalized_domain": "acme.com", "website": "https://acme.com", "linkedin_url": None}
    given_, derived = Candidate(dict(values)), Candidate(dict(values), derived=frozenset({"normalized_domain"}))
    assert keys.of(COMPANY, given_) == (Key(DOMAIN, "acme.com"),)
    assert keys.of(COMPANY, derived) == ()
    contact = Candidate({"email": "A@b.de", "linkedin_url": "https://linkedin.com/in/a"})
    assert keys.of(CONTACT, contact) == (Key(EMAIL, "a@b.de"), Key(URL, "linkedin.com/in/a"))


@given(st.sampled_from([EMAIL, DOMAIN, URL]), st.text(max_size=40))
def test_a_compared_form_is_its_own_compared_form(kind: str, text: str) -> None:
    if kind == URL:
        text = f"https://linkedin.com/in/{text.replace('%', '')}"
    if key := keys.read(CONTACT, kind, text):
        assert keys.read(CONTACT, kind, key.value) in (key, None)


@given(st.from_regex(r"[A-Za-zÀ-ž\u0301Σİ'(),-]{1,12}/?", fullmatch=True))
def test_a_usual_profile_url_has_the_key_of_an_unusual_one(name: str) -> None:
    usual, unusual = f"https://www.linkedin.com/in/{name}", f"HTTPS://linkedin.com:443/in/{name}?trk=x"
    assert keys.read(CONTACT, URL, usual) == keys.read(CONTACT, URL, unusual)


@pytest.mark.parametrize("entity", [COMPANY, CONTACT])
def test_a_number_is_that_of_the_database(entity: Entity) -> None:
    numbers = {keys.number(entity, Key(kind, "jane@acme.com")) for kind in (EMAIL, DOMAIN, URL)}
    assert len(numbers) == 3
    assert all(-(2**63) <= number < 2**63 for number in numbers)
