"""Consistency tokens: how they are written, and what those of several writes become."""

import pytest
from connectra_common.consistency import MAX_TOKENS, NEWEST, Kind, Token, joined, parse_tokens
from connectra_common.errors import ValidationFailed

ANN, BOB = "0a0a0a0a-0000-4000-8000-00000000000a", "0b0b0b0b-0000-4000-8000-00000000000b"


@pytest.mark.parametrize(
    "token",
    [
        Token(7),
        Token(7, Kind.CONTACT, ANN),
        Token(NEWEST, Kind.COMPANY, BOB),
        Token(9, Kind.BATCH, "12"),
        Token(9, Kind.JOB, ANN),
    ],
)
def test_a_token_is_read_as_it_was_written(token: Token) -> None:
    assert Token.parse(str(token)) == token


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "-1",
        "1e3",
        str(NEWEST + 1),
        "9" * 4_400,
        "٧",
        "7.contact",
        f"7.person.{ANN}",
        "7.contact.ann",
        f"7.contact.{ANN},",
    ],
)
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(ValidationFailed, match="not a token of a write"):
        parse_tokens(text)


def test_there_is_a_limit_to_tokens() -> None:
    with pytest.raises(ValidationFailed, match=f"more than {MAX_TOKENS}"):
        parse_tokens(",".join("7" for _ in range(MAX_TOKENS + 1)))


def test_a_write_with_the_token_of_an_earlier_one_answers_with_both() -> None:
    first, second = Token(7, Kind.CONTACT, ANN), Token(9, Kind.CONTACT, BOB)
    assert parse_tokens(joined(str(first), second)) == {first, second}
    assert joined(str(first), Token(9, Kind.CONTACT, ANN)) == f"9.contact.{ANN}"
    assert joined("nonsense", first) == joined(None, first) == str(first)


def test_of_many_writes_the_oldest_become_a_mark() -> None:
    text = None
    for number in range(1, 100):
        text = joined(text, Token(number, Kind.BATCH, str(number)))
    assert text
    tokens = parse_tokens(text)
    assert len(tokens) == MAX_TOKENS
    assert {token for token in tokens if token.kind is None} == {Token(100 - MAX_TOKENS)}
    assert Token(99, Kind.BATCH, "99") in tokens
