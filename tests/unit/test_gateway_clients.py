"""The file of clients, and the command that changes it."""

import json
import stat
from pathlib import Path

import pytest
from connectra_gateway import clients, keys
from connectra_gateway.cli import app
from connectra_gateway.clients import ALL, Client, ClientsError, Right
from typer.testing import CliRunner


def test_a_client_that_was_added_is_there_until_it_is_revoked(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "keys.json"
    crm = clients.add(file, "crm", frozenset({Right.READ, Right.WRITE}))
    batch = clients.add(file, "batch", ALL)
    assert clients.load(file) == [crm, batch]
    assert len(crm.key) >= 40
    assert crm.key != batch.key
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    clients.revoke(file, "crm")
    assert clients.load(file) == [batch]
    with pytest.raises(ClientsError, match="no client 'crm'"):
        clients.revoke(file, "crm")


@pytest.mark.parametrize("name", ["crm", "default", "", "a b", "x" * 65, "ü"])
def test_a_name_that_is_taken_or_not_possible_is_refused(tmp_path: Path, name: str) -> None:
    file = tmp_path / "keys.json"
    clients.add(file, "crm", ALL)
    with pytest.raises(ClientsError):
        clients.add(file, name, ALL)
    assert [client.name for client in clients.load(file)] == ["crm"]


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ("{", "JSON"),
        ({"clients": [{"name": "a"}]}, "key"),
        ({"clients": [{"name": "a", "key": "12345678"}, {"name": "b", "key": "12345678"}]}, "same key"),
        ({"clients": [{"name": "a", "key": "12345678"}, {"name": "a", "key": "87654321"}]}, "same name"),
        ({"clients": [{"name": "a", "key": "12345678", "rights": ["fly"]}]}, "'read', 'write' or 'jobs'"),
        ({"clients": [{"name": "a", "key": "12345678", "rights": []}]}, "at least one of read, write, jobs"),
        ({"clients": [{"name": "a", "key": "with blank"}]}, "key"),
    ],
)
def test_a_file_that_cannot_be_right_is_refused_without_showing_a_key(
    tmp_path: Path, document: object, problem: str
) -> None:
    file = tmp_path / "keys.json"
    file.write_text(document if isinstance(document, str) else json.dumps(document))
    with pytest.raises(ClientsError, match=problem) as refused:
        clients.load(file)
    assert not any(key in str(refused.value) for key in ("12345678", "87654321", "with blank"))


def test_the_api_key_is_the_key_of_one_more_client(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    crm = clients.add(file, "crm", ALL)
    assert [client.name for client in clients.known(file, "12345678")] == ["default", "crm"]
    assert clients.known(file, None) == [crm]
    with pytest.raises(ClientsError, match="the name or the key of the client `default`"):
        clients.known(file, crm.key)
    with pytest.raises(ClientsError, match="there is no client"):
        clients.known(tmp_path / "none.json", None)


def test_rights_name_who_may_use_which_service() -> None:
    reader = Client(name="reader", key="12345678", rights=frozenset({Right.READ}))
    methods = {Right.READ: ["/q/"], Right.WRITE: ["/w/"], Right.JOBS: []}
    rules = keys.rights([reader], methods, ["/q/Health"])["resources"][0]["typed_config"]["rules"]
    assert set(rules["policies"]) == {"read", "open"}
    assert rules["policies"]["read"]["principals"][0]["header"]["string_match"] == {"exact": "reader"}


def test_the_command_shows_a_key_once_and_lists_clients_without_it(tmp_path: Path) -> None:
    file = str(tmp_path / "keys.json")
    run = CliRunner().invoke
    key = run(app, ["add", "crm", "--right", "read", "--file", file]).stdout.strip()
    listed = run(app, ["list", "--file", file]).stdout
    assert "crm" in listed
    assert "read" in listed
    assert key not in listed
    assert run(app, ["add", "crm", "--file", file]).exit_code == 1
    assert run(app, ["revoke", "crm", "--file", file]).exit_code == 0
    assert clients.load(Path(file)) == []
