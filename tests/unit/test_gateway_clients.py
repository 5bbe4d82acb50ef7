"""The file of clients, and the command that changes it."""

import json
import stat
from pathlib import Path

import pytest
from connectra_common.rights import ALL, Right
from connectra_gateway import clients, keys
from connectra_gateway.cli import app
from connectra_gateway.clients import ClientsError
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
        (
            {"clients": [{"name": "a", "key": "12345678", "rights": ["fly"]}]},
            "'read', 'export', 'write', 'import' or 'admin'",
        ),
        (
            {"clients": [{"name": "a", "key": "12345678", "rights": []}]},
            "at least one of read, export, write, import, admin",
        ),
        ({"clients": [{"name": "a", "key": "12345678", "rights": [["read"]]}]}, "rights"),
        ({"clients": [{"name": "a", "key": "12345678", "rights": "read"}]}, "rights"),
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


def test_only_who_is_named_an_administrator_is_one_besides_the_api_key(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"clients": [{"name": "crm", "key": "87654321"}]}))
    rights = {client.name: client.rights for client in clients.known(file, "12345678")}
    assert rights == {"default": ALL, "crm": ALL - {Right.ADMIN}}


def test_the_former_right_to_jobs_goes_on_meaning_import_and_export(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"clients": [{"name": "old", "key": "12345678", "rights": ["read", "jobs"]}]}))
    assert clients.load(file)[0].rights == {Right.READ, Right.IMPORT, Right.EXPORT}
    clients.add(file, "new", frozenset({Right.WRITE}))
    assert "jobs" not in file.read_text()
    assert keys.claimable()["jobs"] == "export,import"


def test_no_name_of_a_right_is_part_of_another_since_the_gateway_looks_for_it_in_their_list() -> None:
    assert not [(one, other) for one in Right for other in Right if one != other and one in other]


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
