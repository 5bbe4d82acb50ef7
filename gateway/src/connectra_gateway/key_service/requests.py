"""The JSON of keys: bodies and their rules."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from connectra_common.requests import Request
from connectra_common.times import read_moment
from pydantic import Field, field_validator

MOST_OVERLAP_SECONDS = 365 * 24 * 3600

Name = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        description="As logs show the client: 1 to 64 letters, digits, dots, dashes and underscores.",
    ),
]


Rights = list[Literal["read", "export", "write", "import", "admin"]]


class _Ending(Request):
    expires_at: Annotated[datetime, Field(description="When the key ends, in the future; absent: never.")] | None = None

    @field_validator("expires_at", mode="before")
    @classmethod
    def _future(cls, given: object) -> datetime | None:
        if given is None or given == "":
            return None
        try:
            if not isinstance(given, str):
                raise TypeError
            moment = read_moment(given)
        except (TypeError, ValueError):
            raise ValueError("must be a moment such as 2027-01-31T00:00:00Z, or a day such as 2027-01-31") from None
        if moment <= datetime.now(UTC):
            raise ValueError("must be in the future")
        return moment


class CreateKeyBody(_Ending):
    """Body of `POST /common/keys`."""

    name: Name
    rights: (
        Annotated[
            Rights,
            Field(description="What the client may do; absent: all but `admin`.", max_length=5),
        ]
        | None
    ) = None
    requests_per_minute: (
        Annotated[int, Field(ge=1, le=1_000_000, description="Its own rate limit; absent: that of all.")] | None
    ) = None

    @field_validator("rights")
    @classmethod
    def _some(cls, given: Rights | None) -> Rights | None:
        if given == []:
            raise ValueError("at least one is required; leave it out for all but admin")
        return given


class UpdateKeyBody(Request):
    """Body of `PATCH /common/keys/{name}`."""

    rights: (
        Annotated[Rights, Field(description="What the client may do from now on; absent: as before.", max_length=5)]
        | None
    ) = None
    requests_per_minute: (
        Annotated[
            int, Field(ge=1, le=1_000_000, description="Its own rate limit; null: that of all; absent: as it is.")
        ]
        | None
    ) = None

    @field_validator("rights")
    @classmethod
    def _some(cls, given: Rights | None) -> Rights | None:
        if given == []:
            raise ValueError("at least one is required; whoever may do nothing is revoked")
        return given


class RotateKeyBody(_Ending):
    """Body of `POST /common/keys/{name}/rotate`."""

    overlap_seconds: Annotated[
        int, Field(ge=0, le=MOST_OVERLAP_SECONDS, description="How long the former keys go on.")
    ] = 86_400
