"""The installation on this machine, for commands that are given no settings."""

import os
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

from dotenv import dotenv_values

# Group of entry points: functions that return the variables of an installation that runs on this machine, or None.
LOCAL_ENVIRONMENTS = "connectra.environments"
# Variables that say where a store is.
PLACES = {
    "PG_DB_CONNECTION",
    "PG_DB_HOST",
    "ELASTICSEARCH_CONNECTION",
    "ELASTICSEARCH_HOST",
    "S3_ENDPOINT",
    "S3_BUCKET",
}
NOTHING = "nothing runs on this machine, and no setting says where a server is"
ADVICE = "start everything by `connectra up`, or set PG_DB_*, ELASTICSEARCH_* and S3_* (docs/operations.md)"


def find() -> bool:
    """Unless the environment or `.env` says where a store is: set the variables of what runs on this machine.

    Returns:
        Whether there is anything to look at.
    """
    if PLACES & (os.environ.keys() | dotenv_values(Path(".env")).keys()):
        return True
    found: dict[str, str] = {}
    for entry in entry_points(group=LOCAL_ENVIRONMENTS):
        look: Callable[[], dict[str, str] | None] = entry.load()
        found |= look() or {}
    for name, value in found.items():
        os.environ.setdefault(name, value)
    return bool(found)
