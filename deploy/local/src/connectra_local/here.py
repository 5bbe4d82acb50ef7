"""How other programs on this machine find what is running."""

import os
from urllib.parse import urlsplit

from connectra_local.home import Home
from connectra_local.state import State


def running_server() -> tuple[str, str] | None:
    """URL and API key of the gateway running on this home, or None. An entry point of "connectra.servers"."""
    state = State.load(Home.find())
    if state is None or not state.is_current():
        return None
    return state.connection["gateway"], state.connection["api_key"]


def gateway_keys() -> tuple[str, str | None] | None:
    """The file of clients of the gateway on this home, and its URL while it runs; None if nothing runs here and no home is named.

    An entry point of "connectra.gateways".
    """
    home = Home.find()
    state = State.load(home)
    if state is not None and state.is_current():
        return str(home.path / "keys.json"), state.connection["gateway"]
    return (str(home.path / "keys.json"), None) if os.environ.get("CONNECTRA_HOME") else None


def running_environment() -> dict[str, str] | None:
    """The settings that lead a process to the servers running on this home, or None.

    An entry point of "connectra.environments".
    """
    state = State.load(Home.find())
    if state is None or not state.is_current():
        return None
    found = state.connection
    store = urlsplit(found["s3"]["endpoint"])
    return {
        "PG_DB_CONNECTION": found["postgres"],
        "ELASTICSEARCH_CONNECTION": found["elasticsearch"],
        "S3_ENDPOINT": f"{store.hostname}:{store.port or 443}",
        "S3_SSL": str(store.scheme == "https").lower(),
        "S3_BUCKET": found["s3"]["bucket"],
        "S3_ACCESS_KEY": found["s3"]["access_key"],
        "S3_SECRET_KEY": found["s3"]["secret_key"],
        **{f"{name.upper()}_ADDRESS": address for name, address in found["grpc"].items()},
    }
