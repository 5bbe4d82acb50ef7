"""The file of clients, and the command that changes it."""

import json
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from connectra_common.rights import ALL, Right
from connectra_gateway import clients, keys
from connectra_gateway.cli import app
from connectra_gateway.clients import Client, ClientsError, NotWritable
from typer.testing import CliRunner

from tests.support.environment import cleared


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
        ({"clients": [{"name": "a", "key": "12345678", "expires_at": "soon"}]}, "expires_at"),
        ({"clients": [{"name": "a", "key": "12345678", "expires_at": "2027-01-01T00:00:00"}]}, "expires_at"),
        ({"clients": [{"name": "a", "keys": [{"key": "12345678"}, {"key": "12345678"}]}]}, "same key"),
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
    assert run(app, ["list", "--file", file, "-o", "name"]).stdout == "crm\n"
    assert run(app, ["list", "--file", file, "-o", "csv"]).stdout.startswith(
        f"name,rights,limit,keys\ncrm,read,,{key[:9]}"
    )
    assert run(app, ["add", "crm", "--file", file]).exit_code == 1
    assert run(app, ["revoke", "crm", "--file", file]).exit_code == 0
    assert clients.load(Path(file)) == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_file_may_be_written_by_any_editor(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"clients": [{"name": "crm", "key": "12345678"}]}), encoding=encoding)
    assert clients.load(file)[0].key == "12345678"


def test_a_generated_key_is_known_by_its_form() -> None:
    keys = [clients.new_key() for _ in range(100)]
    assert len(set(keys)) == 100
    assert all(re.fullmatch("ctra_[0-9A-Za-z]{38}", key) and clients.is_generated(key) for key in keys)
    assert not any(map(clients.is_generated, (keys[0][:-1], f"{keys[0][:-1]}-", keys[0].swapcase(), "ctra_", "")))
    # As other programs have to compute it.
    assert clients.is_generated(f"ctra_{'0' * 32}2WJYRi")


def test_a_rotated_key_goes_on_for_a_while_and_then_leaves_the_file(tmp_path: Path) -> None:
    file, day = tmp_path / "keys.json", timedelta(days=1)
    first = clients.add(file, "crm", frozenset({Right.READ}), requests_per_minute=7)
    second = clients.rotate(file, "crm", day)
    now = datetime.now(UTC)
    assert [key.key for key in second.at(now).keys] == [first.key, second.key]
    assert [key.key for key in second.at(now + day).keys] == [second.key]
    third = clients.rotate(file, "crm", timedelta(), now + day)
    assert [key.key for key in third.keys] == [third.key]
    assert third.keys[0].expires_at == now + day
    assert (third.requests_per_minute, third.rights) == (7, frozenset({Right.READ}))
    assert clients.load(file) == [third]
    with pytest.raises(ClientsError, match="no client 'other'"):
        clients.rotate(file, "other", day)


def test_what_a_client_may_do_is_changed_and_its_keys_stay(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    crm = clients.add(file, "crm", frozenset({Right.READ}), requests_per_minute=7)
    other = clients.add(file, "other", frozenset({Right.READ}))
    changed = clients.update(file, "crm", {"rights": frozenset({Right.WRITE})})
    assert changed == crm.model_copy(update={"rights": frozenset({Right.WRITE})})
    assert clients.update(file, "crm", {"requests_per_minute": None}).requests_per_minute is None
    with pytest.raises(ClientsError, match="at least one of"):
        clients.update(file, "crm", {"rights": frozenset()})
    with pytest.raises(ClientsError, match="requests_per_minute"):
        clients.update(file, "crm", {"requests_per_minute": 0})
    with pytest.raises(ClientsError, match="no client 'nobody'"):
        clients.update(file, "nobody", {})
    assert clients.load(file) == [changed.model_copy(update={"requests_per_minute": None}), other]


def test_a_client_may_have_a_limit_of_its_own() -> None:
    own = Client(name="own", keys=(), requests_per_minute=7)
    config = keys.rate_limit([own, Client(name="crm", keys=())], 60, 600)["resources"][0]["typed_config"]
    buckets = {one["entries"][0].get("value"): one["token_bucket"]["max_tokens"] for one in config["descriptors"]}
    assert (buckets, config["token_bucket"]["max_tokens"]) == ({"own": 7, None: 60}, 600)


def test_the_command_says_which_file_it_changed_and_who_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cleared(monkeypatch, tmp_path)
    monkeypatch.setenv("CONNECTRA_HOME", str(tmp_path / "home"))
    run = CliRunner().invoke
    added = run(app, ["add", "crm", "--expires", "90d", "--per-minute", "600"])
    assert f"changed {tmp_path}/home/keys.json; gateways whose" in added.stderr
    assert run(app, ["update", "crm"]).exit_code == 2
    changed = run(app, ["update", "crm", "--right", "read", "--right", "export"])
    assert changed.stdout == "crm: export,read, 600/min\n"
    assert f"changed {tmp_path}/home/keys.json" in changed.stderr
    assert "the limit of all" in run(app, ["update", "crm", "--per-minute", "0"]).stdout
    run(app, ["update", "crm", "--per-minute", "600"])
    rotated = run(app, ["rotate", "crm", "--overlap", "2h"])
    assert clients.is_generated(rotated.stdout.strip())
    listed = run(app, ["list"]).stdout
    assert "600/min" in listed
    assert f"in {tmp_path}/home/keys.json; gateways whose" in run(app, ["list"]).stderr
    (described,) = json.loads(run(app, ["list", "--json"]).stdout)
    assert (described["name"], described["requests_per_minute"], len(described["keys"])) == ("crm", 600, 2)
    assert rotated.stdout.strip() not in str(described)
    assert listed.count("ctra_") == 2
    assert listed.count(" until ") == 1
    assert run(app, ["rotate", "crm", "--overlap", "soon"]).exit_code == 2
    monkeypatch.setenv("GATEWAY_KEYS_FILE", str(tmp_path / "own.json"))
    assert "no clients in" in run(app, ["list"]).stderr


def test_the_log_tells_what_became_of_clients_and_nothing_of_their_keys(tmp_path: Path) -> None:
    file, end = tmp_path / "keys.json", datetime(2027, 1, 31, tzinfo=UTC)
    states = [clients.load(file)]
    crm = clients.add(file, "crm", frozenset({Right.READ}), expires_at=end)
    states.append(clients.load(file))
    rotated = clients.rotate(file, "crm", timedelta(days=1))
    changed = rotated.model_copy(update={"rights": frozenset({Right.READ, Right.WRITE}), "requests_per_minute": 5})
    states += [[changed], [changed], [changed.model_copy(update={"keys": (changed.keys[-1],)})], []]

    told = [clients.differences(before, after) for before, after in pairwise(states)]

    (rotation,) = told[1]
    assert told[0] == ["client crm added: rights read; the limit of all; keys end: 2027-01-31T00:00:00Z"]
    assert rotation.startswith(
        "client crm changed: rights read,write (was: rights read); 5 a minute (was: the limit of all); keys end: "
    )
    assert rotation.endswith("; keys new: 1")
    assert told[2] == []
    assert told[3][0].endswith("; keys gone: 1")
    assert told[4] == ["client crm removed"]
    assert not any(key.key in str(told) for key in (*crm.keys, *changed.keys))


def test_changes_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    file, names = tmp_path / "keys.json", [f"client-{number}" for number in range(30)]
    with ThreadPoolExecutor(10) as together:
        made = list(together.map(lambda name: clients.add(file, name, ALL), names))
    assert {client.name: client for client in clients.load(file)} == {client.name: client for client in made}
    with ThreadPoolExecutor(10) as together:
        list(together.map(lambda name: clients.revoke(file, name), names[:20]))
    assert {client.name for client in clients.load(file)} == {*names[20:]}


def test_a_file_that_cannot_be_written_is_told_from_one_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    below = tmp_path / "file" / "keys.json"
    with pytest.raises(NotWritable):
        clients.add(below, "crm", ALL)
    assert clients.is_writable(tmp_path / "new" / "folder" / "keys.json")
