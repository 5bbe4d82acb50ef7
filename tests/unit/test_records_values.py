"""One rule a field: what values are stored as, whichever way they come."""

import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from unicodedata import normalize

import pytest
from connectra_common.records.fields import Rule
from connectra_common.records.providers import is_shared_domain
from connectra_common.records.values import READERS, Malformed, Reader, Refused
from connectra_common.records.values.countries import region_of
from connectra_common.records.values.emails import read_address, read_email
from connectra_common.records.values.hosts import compared_host
from connectra_common.records.values.lists import read_items, read_list
from connectra_common.records.values.numbers import read_integer
from connectra_common.records.values.phones import phone_spellings, read_phone
from connectra_common.records.values.text import lower, read_text, tidy
from connectra_common.records.values.urls import domain_of, read_domain, read_linkedin, read_linkedin_lower, read_url
from email_validator import EmailNotValidError, validate_email
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import (
    COUNTRY_CODE_TO_REGION_CODE,
    NumberParseException,
    PhoneNumberFormat,
    country_code_for_region,
    example_number,
    format_number,
    is_valid_number,
    is_valid_number_for_region,
    parse,
)


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("Acme, Inc.", "Acme, Inc."),
        (" C++ \t (UK)\n", "C++ (UK)"),
        ("Fieldcase\u00a0\u2009GmbH", "Fieldcase GmbH"),
        ("Jose\u0301", "José"),
        ("Ｊａｎｅ", "Ｊａｎｅ"),  # NFC, not NFKC
        ("शर्मा", "शर्मा"),
        ("علی\u200cرضا", "علی\u200cرضا"),
        ("👩\u200d💻 Dev", "👩\u200d💻 Dev"),
        ("🏴\U000e0067\U000e0062\U000e007f", "🏴\U000e0067\U000e0062\U000e007f"),
        ("A\u200dB\u200b C\ufeff\u00ad", "AB C"),
        ("\u202aAcme\u202c", "Acme"),
        ("Bo\x07nn\x1b", "Bonn"),
        ("\u200b \u2060", ""),
        ("🚀", "🚀"),
        ("-", "-"),
    ],
)  # fmt: skip
def test_a_text_is_kept_as_it_is_written_but_for_what_nobody_sees(text: str, stored: str) -> None:
    assert tidy(text) == stored
    assert read_text(text) == (stored or None)


@given(st.text())
def test_a_tidy_text_stays(text: str) -> None:
    assert tidy(tidy(text)) == tidy(text)
    assert lower(lower(tidy(text))) == lower(tidy(text))
    assert tidy(lower(tidy(text))) == lower(tidy(text))


def test_lower_case_goes_character_by_character() -> None:
    assert lower("ΟΔΟΣ İ ÄÖ") == "οδοσ i äö"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1.234", 1234), ("12.500", 12500), ("1,234", 1234), ("1 234", 1234), ("1\u202f234", 1234), ("1'234", 1234), ("1’234", 1234),
        ("1.234.567", 1_234_567), ("1,234,567", 1_234_567), ("1 234 567", 1_234_567), ("1,00,000", 100_000), ("₹ 12,50,000", 1_250_000),
        ("1,23,45,678", 12_345_678), ("1.355,90 €", 1355), ("1,355.90", 1355), ("1 000,50", 1000), ("850,0", 850), ("2,5", 2),
        ("12000000.00", 12_000_000), ("420.0", 420), ("1234.567", 1234), ("0.500", 0), ("CHF 1'234.50", 1234), ("1'234.-", 1234),
        ("R$ 1.234,56", 1234), ("EUR 3.000", 3000), ("$5,000,000", 5_000_000), ("Rs. 5,00,000", 500_000),
        ("$1.5M", 1_500_000), ("5k", 5000), ("500 k€", 500_000), ("US$ 12m", 12_000_000), ("2.5 billion", 2_500_000_000),
        ("1.5bn USD", 1_500_000_000), ("€2,5 Mio", 2_500_000), ("1 Mrd. €", 10**9), ("5 Mio EUR", 5_000_000), ("2,5 млн", 2_500_000),
        ("1.5 crore", 15_000_000), ("10 lakh", 1_000_000), ("100万", 1_000_000), (".5M", 500_000), ("1.234M", 1_234_000),
        ("1,234M", 1_234_000_000), ("1.234 Mio", 1_234_000_000), ("1,234 Mio", 1_234_000),
        ("500 T€", 500_000), ("€ 1.500 T", 1_500_000), ("1.500 TEUR", 1_500_000), ("$2T", 2 * 10**12),
        ("51-200", 51), ("51 – 200 employees", 51), ("1,001-5,000", 1001), ("10 000–50 000", 10_000), ("$10M-$50M", 10_000_000),
        ("$10-50M", 10_000_000), ("5 to 10", 5), ("10,001+", 10_001), ("~500", 500), (">1000", 1000), ("ca. 80 Mitarbeiter", 80),
        ("More than 5,000", 5000), ("at least $1M", 1_000_000), ("≥ 50", 50), ("über 1.000 Mitarbeiter", 1000), ("plus de 500", 500),
        ("от 100", 100),
        ("۱۲۳۴", 1234), ("١٬٢٣٤٫٥", 1234), ("１２００", 1200), ("3.8E+07", 38_000_000), ("0", 0), (str(2**63 - 1), 2**63 - 1),
        ("", None), ("n/a", None), ("-", None), ("—", None), ("None", None), ("unknown", None),
    ],
)  # fmt: skip
def test_numbers_are_read_as_people_write_them(text: str, number: int | None) -> None:
    assert read_integer(text) == number


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        *((text, "negative") for text in ("-5", " - 5", "-$5", "−7", "(1,234)", "5-")),
        *((text, "too large") for text in (str(2**63), "9" * 40, "10000000000 billion")),
        *(
            (text, "is not a number; write a whole number such as 1200, 1,200 or 1.2M")
            for text in ("1.234,567,890", "12.34.56", "1,234,56", "May-10", "2024-01-05", "200-51", "12,5%", "3 mil", "1.234 M€", "1,2oo+")
        ),
        *(
            (text, "has no lower bound")
            for text in ("Under $1M", "<50", "< 50 employees", "≤10", "up to 200", "Less than 10", "unter 1.000", "bis 500")
        ),
        *(
            (text, "has no lower bound")
            for text in ("bis zu 10 Mio. €", "moins de 50", "Jusqu’à 10", "menos de 1.000", "до 100", "max. 20", "tot 50")
        ),
        ("123 Main St", "is not a number"),
    ],
)  # fmt: skip
def test_what_cannot_be_told_is_no_number(text: str, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        read_integer(text)


@given(st.integers(0, 2**63 - 1))
def test_a_whole_number_is_itself_however_it_is_grouped(number: int) -> None:
    assert read_integer(str(number)) == number
    for sign in ",'\u202f ":
        assert read_integer(f"{number:,}".replace(",", sign)) == number
    assert read_integer(f"{number:,}.50") == number
    assert read_integer(f"{number:,}".replace(",", ".") + ",50 €") == number


@pytest.mark.parametrize(
    ("text", "country", "stored"),
    [
        ("+1 415-555-0100", None, "+14155550100"),
        ("'+14155550123", None, "+14155550123"),
        ("\u202a+1 415 555 0100\u202c", None, "+14155550100"),
        ("0049 30 5550100", None, "+49305550100"),
        ("001-44", None, "+144"),
        ("+49 (0) 30 5550100", None, "+49305550100"),
        ("+44 (0)20 7946 0000", None, "+442079460000"),
        ("+39 06 12345678", None, "+390612345678"),
        ("(+49) 30 5550100", None, "+49305550100"),
        ("++44 20 7946 0000", None, "+442079460000"),
        ("tel:+1-415-555-0100", None, "+14155550100"),
        ("(415) 555-0100", None, "4155550100"),
        ("(415) 555-0100", "United States", "+14155550100"),
        ("030/5550100", "Deutschland", "+49305550100"),
        ("030/5550100", None, "0305550100"),
        ("49305550100", "DE", "+49305550100"),
        ("8 (495) 123-45-67", "Russia", "+74951234567"),
        ("011 44 20 7946 0000", "usa", "+442079460000"),
        ("555-0100", "Germany", "+495550100"),
        ("12", "Germany", "12"),
        ("６０８ ５５５ ０１００", "US", "+16085550100"),
        ("۰۲۱ ۱۲۳۴ ۵۶۷۸", "Iran", "+982112345678"),
        ("1-800-FLOWERS", "USA", "+18003569377"),
        # An extension, or a second number.
        ("+1-608-555-0100 x11", None, "+16085550100"),
        ("+49 4333 555010 ext. 543", None, "+494333555010"),
        ("+16085550100;ext=9", None, "+16085550100"),
        ("415.555.0100 #12", "US", "+14155550100"),
        ("+1 608 555 0100 / +1 608 555 0199", None, "+16085550100"),
        ("6085550100 6085550199", "US", "+16085550100"),
        # A slash behind the code of an area.
        ("+49 211 / 55501", None, "+4921155501"),
        ("+49 (0)2151 / 555010", None, "+492151555010"),
        ("0049 33203 / 55501", None, "+493320355501"),
        ("02151 / 555010", "DE", "+492151555010"),
        ("+41 (0)44 / 555 01 00", None, "+41445550100"),
        ("030 5550100, 030 5550101", "germany", "+49305550100"),
        ("M: 0151 23456789 W: 030 5550100", "DE", "+4915123456789"),
        ("+1 415 555 0100\n+1 415 555 0101", None, "+14155550100"),
        # What spreadsheets make of numbers.
        ("442075550123.0", None, "442075550123"),
        ("4155550100.00", "US", "+14155550100"),
        ("n/a", None, None),
        ("-", None, None),
        ("+", None, None),
        ("", None, None),
    ],
)
def test_phones(text: str, country: str | None, stored: str | None) -> None:
    assert read_phone(text, country) == stored
    if stored:
        assert read_phone(stored, country) == stored


def test_a_phone_is_searched_by_its_digits() -> None:
    assert phone_spellings("+1 (415) 555-0100") == ["14155550100", "+14155550100"]
    assert phone_spellings("030/5550100") == ["0305550100", "+0305550100"]
    assert phone_spellings("0049 30 5550100") == ["0049305550100", "+0049305550100", "+49305550100"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("4.91512E+11", "has lost digits to a spreadsheet"),
        ("2.125550147E9", "has lost digits to a spreadsheet"),
        ("4,91512E+11", "has lost digits to a spreadsheet"),
        ("call Jane", "has no digits"),
        ("ext. 12", "is an extension without its number"),
        ("x4711", "is an extension without its number"),
        ("+1234567890123456", "has 16 digits; a phone number has at most 15"),
    ],
)
def test_what_is_no_phone_number(text: str, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        read_phone(text)


REGIONS = sorted({region for regions in COUNTRY_CODE_TO_REGION_CODE.values() for region in regions if region != "001"})


@pytest.mark.parametrize("region", REGIONS)
def test_every_country_s_numbers_are_read_in_every_usual_form(region: str) -> None:
    number = example_number(region)
    assert number is not None
    e164 = format_number(number, PhoneNumberFormat.E164)
    assert read_phone(format_number(number, PhoneNumberFormat.INTERNATIONAL)) == e164
    assert read_phone(e164, region) == e164
    assert read_phone("00" + e164[1:]) == e164
    assert read_phone(format_number(number, PhoneNumberFormat.NATIONAL), region) == e164


@given(st.from_regex(r"0?[1-9][0-9]{4,11}", fullmatch=True), st.sampled_from(REGIONS))
def test_a_national_number_is_what_the_library_says(digits: str, region: str) -> None:
    expected = digits
    with suppress(NumberParseException):
        number = parse(digits, region)
        own = number.country_code == country_code_for_region(region)
        if is_valid_number_for_region(number, region) if own else is_valid_number(number):
            expected = format_number(number, PhoneNumberFormat.E164)
    assert read_phone(digits, region) == expected


@given(st.from_regex(r"\+?[0-9 ()./-]{0,24}(x\d+)?", fullmatch=True) | st.text(), st.sampled_from([None, *REGIONS]))
def test_a_phone_that_is_read_again_stays(text: str, country: str | None) -> None:
    try:
        stored = read_phone(text, country)
    except Refused:
        return
    if stored is not None:
        assert stored.lstrip("+").isascii()
        assert stored.lstrip("+").isdigit()
        assert read_phone(stored, country) == stored


@pytest.mark.parametrize(
    ("name", "region"),
    [("DE", "DE"), ("Deutschland", "DE"), ("allemagne", "DE"), ("USA", "US"), ("united  states", "US"), ("U.K.", "GB"), ("日本", "JP"),
     ("Türkiye", "TR"), ("Atlantis", None), ("", None)],
)  # fmt: skip
def test_countries_are_known_by_their_names_and_codes(name: str, region: str | None) -> None:
    assert region_of(name) == region


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("Jane.Doe@ACME.com", "jane.doe@acme.com"),
        ("sean.o'fieldcase@place.example", "sean.o'fieldcase@place.example"),
        ("r&d_team/amp=1@isle.example", "r&d_team/amp=1@isle.example"),
        ("tag+newsletter@isle.example", "tag+newsletter@isle.example"),
        ("x@q.example", "x@q.example"),
        ("jane@server.test", "jane@server.test"),
        ("info@müller-fc.example", "info@müller-fc.example"),
        ("info@xn--mller-fc-65a.example", "info@xn--mller-fc-65a.example"),
        ("почта@пример.рф", "почта@пример.рф"),
        ('"john doe"@x.com', '"john doe"@x.com'),
        (" \u200bjane@x.com\u200b ", "jane@x.com"),
        ("mailto:two5@first.example", "two5@first.example"),
        ("mailto:jane@x.com?subject=hi", "jane@x.com"),
        ("'jane@x.com'", "jane@x.com"),
        ("Doe, Jane <jane@x.com>", "jane@x.com"),
        ("jane@x.com (work)", "jane@x.com"),
        ("pl6@place.example;", "pl6@place.example"),
        ("jane@icloud.com.", "jane@icloud.com"),
        *(
            (nothing, None)
            for nothing in ("", " ", "n/a", "N/A", "none", "-", "--", "(none)", "unavailable", "null", "keine", "?")
        ),
    ],
)
def test_emails(text: str, stored: str | None) -> None:
    assert read_email(text) == stored


@pytest.mark.parametrize(
    ("text", "first", "count"),
    [
        ("two1@first.example; two1@second.example", "two1@first.example", 2),
        ("two2@first.example ::: two2@second.example", "two2@first.example", 2),
        ("two3@first.example\ntwo3@second.example", "two3@first.example", 2),
        ("two6@first.example,two6@second.example, two6@third.example", "two6@first.example", 3),
        ("n/a; two7@first.example", "two7@first.example", 1),
    ],
)
def test_of_several_addresses_the_first_is_taken_and_said(text: str, first: str, count: int) -> None:
    note = f"has {count} addresses; the first one, {first}, is stored" if count > 1 else None
    assert read_address(text) == (first, note)


@pytest.mark.parametrize(
    "text",
    ["pl7.@place.example", "pl8@place", "pl9 at place dot example", "test@test", "dots..twice@isle.example", "jane @ x.com", "a@b@c.de",
     "jane@x_y.com", "jane@-x.com", "a@1.2.3.4", "a@[1.2.3.4]", "a" * 65 + "@x.com", "x", "\ufffd\ufffd@x.de"],
)  # fmt: skip
def test_what_is_no_email(text: str) -> None:
    with pytest.raises(Malformed, match=r"is not an e-mail address; write one such as name@example\.com"):
        read_email(text)


@pytest.mark.parametrize(
    ("text", "stored", "domain"),
    [
        ("https://x.com/", "https://x.com/", "x.com"),
        ("acme.com", "https://acme.com", "acme.com"),
        ("www.Acme.com/x?y=1#z", "https://www.Acme.com/x?y=1#z", "acme.com"),
        ("HTTP://Acme.com:8080/X", "http://Acme.com:8080/X", "acme.com"),
        ("//acme.com", "https://acme.com", "acme.com"),
        ("acme.com:8080/x", "https://acme.com:8080/x", "acme.com"),
        ("müller.de", "https://müller.de", "müller.de"),
        ("https://xn--mller-kva.de./", "https://xn--mller-kva.de./", "müller.de"),
        ("https://localhost/", "https://localhost/", None),
        ("https://10.0.0.1", "https://10.0.0.1", None),
        ("https://a.com https://b.com", "https://a.com", "a.com"),
        ("n/a", None, None),
    ],
)
def test_urls(text: str, stored: str | None, domain: str | None) -> None:
    assert read_url(text) == stored
    assert (domain_of(stored) if stored else None) == domain


@pytest.mark.parametrize(
    "text",
    ["x", "https://", "ftp://x.com", "https://acme .com", "javascript:alert(1)", "info@acme.com", "10.0.0.1", "Acme Inc.", "http//acme.com",
     "https://[::1/", "https://acme.com:port/"],
)  # fmt: skip
def test_what_is_no_url(text: str) -> None:
    with pytest.raises(Malformed, match="is not the address of a web page"):
        read_url(text)


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("linkedin.com/in/x", "https://linkedin.com/in/x"),
        ("https://de.linkedin.com/in/Ann", "https://de.linkedin.com/in/Ann"),
        ("HTTPS://LinkedIn.com/in/Ann ", "https://LinkedIn.com/in/Ann"),
        ("http://www.linkedin.com/company/Acme/", "http://www.linkedin.com/company/Acme/"),
        ("none", None),
    ],
)
def test_linkedin_urls(text: str, stored: str | None) -> None:
    assert read_linkedin(text) == stored
    assert read_linkedin_lower(text) == (stored.lower() if stored else None)


@pytest.mark.parametrize(
    "text",
    ["https://evil.com/linkedin.com/", "https://linkedin.com", "linkedin.com.evil.com/in/x", "evillinkedin.com/in/x"],
)
def test_what_is_no_linkedin_url(text: str) -> None:
    with pytest.raises(Malformed, match="is not the address of a LinkedIn page"):
        read_linkedin(text)


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("Bolt.IO", "bolt.io"),
        ("https://www.acme.com:80/about", "acme.com"),
        ("acme.com.", "acme.com"),
        ("xn--mller-kva.de", "müller.de"),
        ("-", None),
    ],
)
def test_domains(text: str, stored: str | None) -> None:
    assert read_domain(text) == stored


@pytest.mark.parametrize("text", ["localhost", "10.0.0.1", "a b.de", "acme", "-a.de", "a..de"])
def test_what_is_no_domain(text: str) -> None:
    assert compared_host(text) is None
    with pytest.raises(Malformed, match="is not a domain"):
        read_domain(text)


@pytest.mark.parametrize(
    ("cell", "items"),
    [
        ("AI,  Machine   Learning ,", ["ai", "machine learning"]),
        ("Java, C++,C#,.NET", ["java", "c++", "c#", ".net"]),
        ('robotics, "human-robot" teams, b2b', ["robotics", '"human-robot" teams', "b2b"]),
        ('"a, b", c', ["a, b", "c"]),
        ('"say ""hi""",x', ['say "hi"', "x"]),
        ("SaaS; B2B", ["saas", "b2b"]),
        ("Sales ::: Ops", ["sales", "ops"]),
        (",, ,A,a , \u200b,", ["a", "a"]),
        (" , ", None),
    ],
)
def test_lists(cell: str, items: list[str] | None) -> None:
    assert read_list(cell) == items


def test_items_of_lists_keep_their_case_and_signs() -> None:
    assert read_items([" C# ", "", "Jose\u0301"]) == ["C#", "José"]
    with pytest.raises(Refused, match="has 5001 items; at most 5000"):
        read_items(["x"] * 5001)
    with pytest.raises(Refused, match="has an item of more than 1000 characters"):
        read_items(["x" * 1001])


@pytest.mark.parametrize("cell", ["," * 5_000_000, ";" * 5_000_000, '"",' * 1_500_000, '"' + "x" * 5_000_000])
def test_a_list_that_is_too_long_is_refused_before_it_is_taken_apart(cell: str) -> None:
    tracemalloc.start()
    with pytest.raises(Refused):
        read_list(cell)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 16_000_000


SAMPLES: dict[Rule, st.SearchStrategy[str]] = {
    Rule.EMAIL: st.emails() | st.from_regex(r"[\w.+']{1,8}@[\wé-]{1,8}\.[a-z]{1,4}[;, ]?", fullmatch=True),
    Rule.URL: st.from_regex(r"(https?://)?(www\.)?[\wé-]{1,8}\.[a-z]{1,4}(/\S{0,9})?", fullmatch=True),
    Rule.DOMAIN: st.from_regex(r"(https?://)?(www\.)?[\wé-]{1,8}\.[a-z.]{1,6}(/\S{0,9})?", fullmatch=True),
    Rule.LINKEDIN: st.from_regex(r"(https?://)?(\w\w\.)?LinkedIn\.com(/\S{0,9})?", fullmatch=True),
    Rule.INTEGER: st.from_regex(r"[$€]?[\d., ']{1,12} ?(k|M|Mio|bn)?(-\d+)?", fullmatch=True),
}
SAMPLES[Rule.LINKEDIN_LOWER] = SAMPLES[Rule.LINKEDIN]


@pytest.mark.parametrize("rule", [rule for rule in READERS if rule is not Rule.LIST])
@given(data=st.data())
def test_what_is_stored_is_read_as_itself(rule: Rule, data: st.DataObject) -> None:
    read: Callable[[str], object] = READERS[rule]
    text = data.draw(st.text() | SAMPLES.get(rule, st.text()))
    try:
        value = read(text)
    except Refused:
        return
    assert value != ""
    if value is not None:
        assert read(str(value)) == value


def test_a_nul_is_refused_everywhere() -> None:
    for read in READERS.values():
        with pytest.raises(Refused, match="contains a NUL"):
            read("a\x00b")


@pytest.mark.parametrize(
    "domain",
    ["gmail.com", "yahoo.com.mx", "hotmail.com.br", "ya.ru", "foxmail.com", "mail.googlemail.com", "bol.com.br", "gmx.com.br", "icloud.com",
     "qq.com", "privaterelay.appleid.com", "users.noreply.github.com", "hey.com", "tutanota.com", "facebook.com", "m.facebook.com",
     "de-de.facebook.com", "linktr.ee", "instagram.com", "sites.google.com", "github.io", "blogspot.com", "wordpress.com", "co.uk"],
)  # fmt: skip
def test_domains_that_many_share(domain: str) -> None:
    assert is_shared_domain(domain)


@pytest.mark.parametrize(
    "domain", ["acme.com", "shop.acme.co.uk", "florist.github.io", "tailor.wixsite.com", "x.blogspot.com", "x.wordpress.com", "müller.de",
               "place.example", "live.house"],
)  # fmt: skip
def test_domains_of_somebody(domain: str) -> None:
    assert not is_shared_domain(domain)


LOCAL = st.from_regex(r"[a-z]([a-z+_.-]{0,12}[a-z])?", fullmatch=True)
HOST = st.from_regex(r"([a-zé0-9-]{1,8}\.){0,3}[a-zé0-9-]{0,6}[a-zé]", fullmatch=True)


@given(LOCAL, HOST)
def test_an_address_is_what_the_library_says(local: str, host: str) -> None:
    address = f"{local}@{host}"
    try:
        parsed = validate_email(address, check_deliverability=False, globally_deliverable=False, strict=True)
    except EmailNotValidError:
        parsed = None
    if parsed and compared_host(parsed.domain):
        assert read_email(address) == address
    else:
        with pytest.raises(Malformed):
            read_email(address)


@given(st.characters())
def test_each_character_has_one_lower_case(char: str) -> None:
    assert lower(f"A{char}B") == normalize("NFC", f"a{char.lower()[0]}b")


@given(st.from_regex(r"\(?[0-9]{1,6}\)?([ -][0-9]{1,5}){0,5}", fullmatch=True), st.sampled_from([None, *REGIONS]))
def test_a_usual_national_number_is_read_like_any_other(text: str, region: str | None) -> None:
    def read(given_: str) -> str | None:
        with suppress(Refused):
            return read_phone(given_, region)
        return None

    assert read(text) == read(f"Tel: {text}")


def test_names_of_countries_come_without_those_of_towns() -> None:
    code = (
        "import sys; from connectra_common.records.values.countries import region_of;"
        "print(region_of('Deutschland'), [name for name in sys.modules if name.startswith('phonenumbers.geodata')])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split(maxsplit=1) == ["DE", "[]\n"]


@pytest.mark.parametrize("read", READERS.values())
@pytest.mark.parametrize(
    "text", ["+1" + "1" * 400 + "x", "<" * 7_000 + "x", "x" * 10**6, ",;" * 4_000, "www.a.com/" + ", " * 3_900]
)
def test_no_text_takes_long(read: Reader, text: str) -> None:
    began = time.process_time()
    with suppress(Refused, Malformed):
        read(text)
    assert time.process_time() - began < 0.5
