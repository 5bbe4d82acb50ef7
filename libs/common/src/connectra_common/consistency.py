"""Consistency tokens: a write answers with one, and a query that sends it back sees that write."""

import re
from dataclasses import dataclass
from enum import StrEnum

from connectra_common.errors import ValidationFailed

# Above every mark: of a write whose mark nobody could read.
NEWEST = 2**63 - 1
# Tokens of one query.
MAX_TOKENS = 32


class Kind(StrEnum):
    """What a token names."""

    COMPANY = "company"
    CONTACT = "contact"
    BATCH = "batch"
    JOB = "job"


@dataclass(frozen=True, slots=True)
class Token:
    """Names what was written, so that a query waits for that and for nothing else.

    Args:
        mark: a number of a mark in the outbox; those of the write are not above it.
        kind: None, of an earlier release: all that was marked by then.
        name: uuid of a record or a job, or number of a batch.
    """

    mark: int
    kind: Kind | None = None
    name: str = ""

    def __str__(self) -> str:
        return f"{self.mark}.{self.kind}.{self.name}" if self.kind else str(self.mark)

    @classmethod
    def parse(cls, text: str) -> "Token":
        """A token as it was given out.

        Raises:
            ValidationFailed: it is none.
        """
        found = _TOKEN.fullmatch(text.strip())
        if not found or int(found["mark"]) > NEWEST:
            raise ValidationFailed.at("x-consistency-token", "is not a token of a write")
        return cls(int(found["mark"]), Kind(found["kind"]) if found["kind"] else None, found["name"] or "")


def parse_tokens(text: str) -> frozenset[Token]:
    """The tokens of a header, divided by commas.

    Raises:
        ValidationFailed: one is none, or there are too many.
    """
    if text.count(",") >= MAX_TOKENS:
        raise ValidationFailed.at("x-consistency-token", f"has more than {MAX_TOKENS} tokens")
    return frozenset(map(Token.parse, text.split(",")))


def joined(earlier: str | None, token: Token) -> str:
    """The token of a write that came with the tokens of earlier ones, which it covers as well.

    Args:
        earlier: as sent; what is no token counts for nothing, since the write is done.
    """
    try:
        before = parse_tokens(earlier) if earlier else frozenset[Token]()
    except ValidationFailed:
        before = frozenset()
    others = (one for one in before if (one.kind, one.name) != (token.kind, token.name))
    tokens = [*sorted(others, key=lambda one: one.mark), token]
    if len(tokens) > MAX_TOKENS:
        # Of the oldest, all that was marked by then.
        rest = len(tokens) - MAX_TOKENS + 1
        tokens[:rest] = [Token(max(one.mark for one in tokens[:rest]))]
    return ",".join(map(str, tokens))


_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_TOKEN = re.compile(
    rf"(?a)(?P<mark>\d{{1,19}})(?:\.(?P<kind>company|contact|job|batch)\.(?P<name>{_UUID}|\d{{1,19}}))?"
)
