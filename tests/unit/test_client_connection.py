"""Which server and key the client takes."""

from pathlib import Path

import pytest
from connectra_client import connection, profiles
from connectra_client.connection import Connection, find_connection
from connectra_client.errors import ClientError, NoServer
from connectra_client.profiles import Profile, Profiles

HERE = Connection("http://127.0.0.1:8000", "local-key")


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("CONNECTRA_URL", "CONNECTRA_API_KEY", "CONNECTRA_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
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


@pytest.mark.parametrize("key", ["secret\n", "sec ret", "schlüssel"])
def test_a_key_that_no_header_takes_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(NoServer, match="API key") as refused:
        find_connection("http://127.0.0.1:8000", key)
    assert key.strip() not in str(refused.value)


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


STAGING, PRODUCTION = Profile("https://staging.example", "staging-key"), Profile("https://contacts.example", "prod-key")


@pytest.fixture
def logged_in() -> None:
    profiles.save(Profiles("staging", {"staging": STAGING, "production": PRODUCTION}))


@pytest.mark.usefixtures("logged_in")
def test_a_profile_is_taken_by_name_else_by_the_environment_else_the_current_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert find_connection() == Connection("https://staging.example", "staging-key")
    monkeypatch.setenv("CONNECTRA_PROFILE", "production")
    assert find_connection() == Connection("https://contacts.example", "prod-key")
    assert find_connection(profile="staging") == Connection("https://staging.example", "staging-key")
    assert find_connection(profile="local") == HERE
    monkeypatch.setenv("CONNECTRA_URL", "http://env:1")
    monkeypatch.setenv("CONNECTRA_API_KEY", "env-key")
    assert find_connection() == Connection("http://env:1", "env-key")
    assert find_connection(profile="staging") == Connection("https://staging.example", "staging-key")


@pytest.mark.usefixtures("logged_in")
def test_a_key_that_is_kept_is_sent_to_its_own_address_only() -> None:
    assert find_connection("https://contacts.example/") == Connection("https://contacts.example", "prod-key")
    with pytest.raises(NoServer, match=r"key for https://elsewhere is missing"):
        find_connection("https://elsewhere")


@pytest.mark.usefixtures("logged_in")
def test_a_profile_that_is_none_is_refused_with_those_there_are() -> None:
    with pytest.raises(NoServer, match="there is no profile 'test': there are production, staging"):
        find_connection(profile="test")
    with pytest.raises(ClientError, match="both name a server"):
        find_connection("https://elsewhere", profile="staging")


@pytest.mark.usefixtures("logged_in")
def test_keys_are_kept_where_only_their_owner_reads_them() -> None:
    file = profiles.path()
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert [one.name for one in file.parent.iterdir()] == [file.name]
    file.chmod(0o640)
    with pytest.raises(ClientError, match="chmod 600"):
        find_connection()


@pytest.mark.parametrize("text", ["{", "[]", '{"profiles": {"a": {}}}'])
def test_a_file_of_profiles_that_is_none_is_named(text: str) -> None:
    profiles.save(Profiles())
    profiles.path().write_text(text)
    with pytest.raises(ClientError, match=r"profiles\.json cannot be read"):
        find_connection()
