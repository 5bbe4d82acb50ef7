"""`connectra contacts` and `companies`, `filters` and `search` on the running services, as people and scripts use them."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from connectra_client.cli import app
from connectra_client.exit_codes import ExitCode
from typer.testing import CliRunner, Result

from tests.support.stack import Stack
from tests.support.wait import until_now
from tests.support.words import word

NOBODY = "11111111-2222-4333-8444-555555555555"


class Terminal:
    """The command line in this process, which saves half a second a command."""

    def __init__(self, stack: Stack) -> None:
        self._environment = stack.environment

    def __call__(self, *arguments: str, stdin: str | None = None) -> Result:
        return CliRunner().invoke(app, list(arguments), input=stdin, env=self._environment, prog_name="connectra")

    def out(self, *arguments: str, stdin: str | None = None) -> str:
        """What a command prints that has to succeed."""
        done = self(*arguments, stdin=stdin)
        assert done.exit_code == 0, done.output
        return done.stdout


@pytest.fixture(scope="module")
def connectra(stack: Stack) -> Terminal:
    return Terminal(stack)


def new_contact(connectra: Terminal, mark: str, *fields: str) -> str:
    names = ("-f", "first_name=Jane", "-f", f"last_name={mark}", "-f", f"email=jane@{mark}.example")
    return connectra.out("contacts", "create", *names, *fields, "-o", "name").strip()


def test_a_contact_is_made_shown_changed_and_deleted(connectra: Terminal, tmp_path: Path) -> None:
    mark = word()
    uuid = new_contact(connectra, mark, "-f", "departments=sales,it")
    stored: dict[str, Any] = json.loads(connectra.out("contacts", "get", uuid, "--json"))
    assert (stored["last_name"], stored["departments"]) == (mark, ["sales", "it"])
    person = tmp_path / "person.json"
    person.write_text(json.dumps(stored))
    version = str(stored["row_version"])
    again = connectra("contacts", "create", "--file", str(person))
    assert again.exit_code == ExitCode.CONFLICT
    changed = connectra.out(
        "contacts", "update", uuid, "-f", "title=VP of Sales", "-f", "departments=", "--if-version", version
    )
    lines = dict(line.split("\t") for line in changed.splitlines())
    assert lines["title"] == "VP of Sales"
    assert "departments" not in lines
    assert (
        connectra("contacts", "update", uuid, "-f", "title=x", "--if-version", version).exit_code == ExitCode.CONFLICT
    )
    refused = connectra("contacts", "update", uuid, "-f", "email=jane")
    assert (refused.exit_code, refused.stderr) == (ExitCode.REFUSED, "email: invalid email format: jane\n")
    assert connectra("contacts", "delete", uuid).exit_code == 0
    gone = connectra("contacts", "get", uuid)
    assert (gone.exit_code, gone.stdout) == (ExitCode.NOT_FOUND, "")
    assert len(gone.stderr.splitlines()) == 1


def test_an_unknown_field_is_said_and_does_not_stop_the_rest(connectra: Terminal) -> None:
    mark = word()
    done = connectra("companies", "create", "-f", f"name={mark}", "-f", "employees_count=120", "-f", "citi=Bonn", "--json")  # fmt: skip
    assert json.loads(done.stdout)["employees_count"] == 120
    assert "did you mean 'city'" in done.stderr


def test_many_are_stored_from_a_file_and_what_is_wrong_is_named(connectra: Terminal, tmp_path: Path) -> None:
    mark = word()
    people = [{"first_name": "a", "last_name": mark, "email": f"{n}@{mark}.example"} for n in range(3)]
    file = tmp_path / "people.json"
    file.write_text(json.dumps([*people, {"first_name": "nobody"}]))
    done = connectra("contacts", "upsert", "--file", str(file), "-o", "name")
    assert done.exit_code == ExitCode.REFUSED
    assert done.stderr.startswith("record 4: ")
    uuids = done.stdout.split()
    assert len(uuids) == 3
    lines = "\n".join(json.dumps(person) for person in people)
    told = json.loads(connectra.out("contacts", "upsert", "--file", "-", "--json", stdin=lines))
    assert (told["created"], told["success_count"], told["uuids"]) == (0, 3, uuids)
    rows = list(csv.DictReader(io.StringIO(connectra("contacts", "get", "-", "-o", "csv", stdin=done.stdout).stdout)))
    assert [row["uuid"] for row in rows] == uuids
    some = connectra("contacts", "delete", "-", stdin=f"{uuids[0]}\n{NOBODY}\n\n{uuids[1]}\n")
    assert some.exit_code == ExitCode.NOT_FOUND
    assert [line.split()[-1] for line in some.stderr.splitlines() if line.startswith("deleted")] == uuids[:2]
    assert some.stderr.count(NOBODY) == 1


def test_one_is_stored_again_by_what_names_it(connectra: Terminal) -> None:
    mark = word()
    fields = ("-f", f"name={mark}", "-f", f"normalized_domain={mark}.example")
    first = connectra("companies", "upsert", *fields, "-o", "name")
    second = connectra("companies", "upsert", *fields, "-f", "city=Bonn", "-o", "name")
    assert (first.stdout, first.stderr, second.stderr) == (second.stdout, "created\n", "changed\n")


@pytest.fixture(scope="module")
def crowd(connectra: Terminal) -> str:
    """A word that 130 searchable contacts have as their last name."""
    mark = word()
    people = [
        {"first_name": "a", "last_name": mark, "city": "Bonn", "email": f"{n:03}@{mark}.example"} for n in range(130)
    ]
    connectra.out("contacts", "upsert", "--file", "-", stdin=json.dumps(people))
    until_now(lambda: connectra("contacts", "count", mark).stdout == "130\n")
    return mark


def test_a_search_goes_on_over_pages_in_every_format(connectra: Terminal, crowd: str) -> None:
    everything = ("search", "contacts", crowd, "--sort", "email", "--all")
    emails = [row["email"] for row in json.loads(connectra.out(*everything, "--json"))]
    assert emails == [f"{n:03}@{crowd}.example" for n in range(130)]
    assert [line.split("\t")[0] for line in connectra.out(*everything, "-c", "email").splitlines()] == emails
    rows = csv.DictReader(io.StringIO(connectra.out(*everything, "-c", "email,city", "-o", "csv")))
    assert [(row["email"], row["city"].lower()) for row in rows] == [(email, "bonn") for email in emails]
    assert len(set(connectra.out(*everything, "-o", "name").split())) == 130
    begin = connectra("search", "contacts", crowd, "--sort", "email:desc", "-n", "110", "-c", "email")
    assert begin.stdout.split() == emails[:-111:-1]
    assert "110 of 130 contacts" in begin.stderr
    cursor = begin.stderr.partition("--cursor '")[2].partition("'")[0]
    rest = connectra("search", "contacts", crowd, "--sort", "email:desc", "-c", "email", "-n", "50", "--cursor", cursor)
    assert rest.stdout.split() == emails[19::-1]
    assert "--cursor" not in rest.stderr


def test_filters_and_their_values_are_listed(connectra: Terminal, crowd: str) -> None:
    keys = connectra.out("filters", "contacts", "-o", "name").split()
    assert {"first_name", "country", "seniority"} <= set(keys)
    assert connectra.out("filters", "contacts", "email", f"000@{crowd}", "-o", "name") == f"000@{crowd}.example\n"
    unknown = connectra("filters", "contacts", "contry")
    assert unknown.exit_code == ExitCode.NOT_FOUND
    assert "did you mean 'country'" in unknown.stderr


def test_what_is_refused_is_told_once_by_the_name_of_the_option(connectra: Terminal) -> None:
    for command in (("search", "contacts"), ("export", "contacts", "-o", "-")):
        refused = connectra(*command, "-c", "email,nope")
        assert refused.exit_code == ExitCode.REFUSED
        assert refused.stdout == ""
        assert refused.stderr.count("nope") == 1, refused.stderr
        assert refused.stderr.startswith("--columns: ")


def test_what_is_searched_for_is_exported_to_stdout(connectra: Terminal, crowd: str) -> None:
    done = connectra("export", "contacts", crowd, "-c", "email,city")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert sorted(row["email"] for row in rows) == [f"{n:03}@{crowd}.example" for n in range(130)]
    assert "completed" in done.stderr
    (job,) = json.loads(connectra.out("jobs", "list", "-t", "export", "-n", "1", "--json"))
    listed = connectra.out("jobs", "list", "-t", "export", "-n", "1").split("\t")
    assert listed[0] == job["uuid"]
    assert listed[1:4] == ["export", "completed", "130"]
    fetched = connectra("jobs", "fetch", job["uuid"], "--result", "-o", "-")
    assert fetched.stdout == done.stdout
    assert connectra("jobs", "cancel", job["uuid"]).exit_code == ExitCode.CONFLICT
    assert connectra("jobs", "show", NOBODY).exit_code == ExitCode.NOT_FOUND
