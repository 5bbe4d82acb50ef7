"""How other programs on this machine find what runs here."""

from connectra_local.home import Home
from connectra_local.state import State


def running_server() -> tuple[str, str] | None:
    """Address and API key of the gateway that runs on this home, or None. An entry point of "connectra.servers"."""
    state = State.load(Home.find())
    if state is None or not state.is_current():
        return None
    return state.connection["gateway"], state.connection["api_key"]
