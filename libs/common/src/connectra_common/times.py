"""How moments are written in answers."""

from datetime import UTC, datetime


def rfc3339(moment: datetime) -> str:
    """UTC with microseconds, e.g. `2026-11-23T14:46:47.600000Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
