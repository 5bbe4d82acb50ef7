"""How moments are written in answers, and read."""

from datetime import UTC, datetime


def rfc3339(moment: datetime) -> str:
    """UTC with microseconds, e.g. `2026-11-23T14:46:47.600000Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def read_moment(text: str) -> datetime:
    """A moment in UTC, of any ISO 8601 spelling; without a zone it is UTC.

    Raises:
        ValueError: it is not one.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("before the year 1 or after 9999") from None
