"""Which server and key the client takes."""

import pytest
from connectra_client import connection
from connectra_client.connection import Connection, find_connection
from connectra_client.errors import ClientError

HERE = Connection("http://127.0.0.1:8000", "local-key")


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CONNECTRA_URL", raising=False)
    monkeypatch.delenv("CONNECTRA_API_KEY", raising=False)
    monkeypatch.setattr(connection, "running_here", lambda: HERE)


def test_what_is_given_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONNECTRA_URL", "http://env:1")
    monkeypatch.setenv("CONNECTRA_API_KEY", "env-key")
    assert find_connection("https://given", "given-key") == Connection("https://given", "given-key")
    assert find_connection() == Connection("http://env:1", "env-key")


def test_without_either_it_is_the_server_on_this_machine() -> None:
    assert find_connection() == HERE
    assert find_connection(api_key="mine") == Connection(HERE.url, "mine")
    assert find_connection(HERE.url) == HERE


def test_the_local_key_is_sent_to_no_other_server() -> None:
    with pytest.raises(ClientError, match=r"key for http://elsewhere:8000 is missing"):
        find_connection("http://elsewhere:8000")


def test_no_server_at_all_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "running_here", lambda: None)
    with pytest.raises(ClientError, match="connectra up"):
        find_connection()


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://host", "http://", "http://host:port", "http://host:99999"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ClientError, match="is not an address"):
        find_connection(url, "key")


def test_the_key_is_not_shown() -> None:
    assert "local-key" not in repr(HERE)


@pytest.mark.parametrize(
    ("url", "port", "secure", "loopback"),
    [
        ("http://localhost", 80, False, True),
        ("https://example.org", 443, True, False),
        ("http://[::1]:9", 9, False, True),
    ],
)
def test_port_and_encryption_follow_from_the_address(url: str, port: int, secure: bool, loopback: bool) -> None:
    found = Connection(url, "key")
    assert (found.port, found.secure, found.loopback) == (port, secure, loopback)
