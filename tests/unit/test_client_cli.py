"""The framework of the command line: plug-ins, help, errors."""

import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import pytest
import typer
from connectra_client import plugins, profiles
from connectra_client.cli import app
from connectra_client.plugins import PANELS, Commands, summary
from connectra_client.profiles import Profile, Profiles
from typer.testing import CliRunner, Result

Run = Callable[..., Result]

PLUGIN = '''
"""Module."""
from enum import StrEnum
import typer
from connectra_client.errors import ClientError

group = typer.Typer(help="A group of things.\\nMore.")

@group.command()
def thing() -> None:
    """One thing."""
    print("thing done")

def greet(name: str, loud: bool = False) -> None:
    """Greet somebody.

    At length, in a paragraph
    of two lines.

    Examples:
        greet ada
    """
    print(name.upper() if loud else name)

class Choice(StrEnum):
    FIRST = "first"
    SECOND = "second"

def choose(choice: Choice) -> None:
    """Choose."""

def refuse() -> None:
    """Refuse."""
    raise ClientError("no, because\\n  field: is wrong")
'''


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    (tmp_path / "plugin_under_test.py").write_text(PLUGIN)
    (tmp_path / "broken_under_test.py").write_text(
        '"""Broken."""\nimport no_such_module_anywhere\n\ndef broken() -> None:\n    """Breaks."""\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    targets = {
        "refuse": "plugin_under_test:refuse",
        "choose": "plugin_under_test:choose",
        "search": "plugin_under_test:greet",
        "things": "plugin_under_test:group",
        "broken": "broken_under_test:broken",
        "absent": "absent_under_test:nothing",
        "up": "plugin_under_test:greet",
    }
    entries = [EntryPoint(name, target, plugins.GROUP) for name, target in targets.items()]
    more = [EntryPoint("thing", "plugin_under_test:greet", ""), EntryPoint("greet", "plugin_under_test:greet", "")]
    groups = {plugins.GROUP: entries, f"{plugins.GROUP}.things": more}
    monkeypatch.setattr(plugins, "entry_points", lambda group: groups.get(group, []))

    def call(*arguments: str) -> Result:
        app = typer.Typer(cls=Commands, add_completion=False)
        app.callback()(lambda: None)
        return CliRunner().invoke(app, list(arguments))

    yield call
    for name in ("plugin_under_test", "broken_under_test"):
        sys.modules.pop(name, None)


def test_help_lists_known_commands_first_and_imports_none(run: Run) -> None:
    shown = run("--help").output
    order = [shown.index(f" {name} ") for name in ("up", "search", "absent", "broken", "choose", "refuse", "things")]
    assert order == sorted(order)
    assert "Greet somebody." in shown
    assert "A group of things." in shown
    assert "there is no module absent_under_test" in shown
    assert not {"plugin_under_test", "broken_under_test"} & sys.modules.keys()


def test_a_function_becomes_a_command_and_a_typer_a_group(run: Run) -> None:
    assert run("search", "ada", "--loud").output == "ADA\n"
    assert run("things", "thing").output == "thing done\n"
    assert "At length, in" in run("search", "--help").output


def test_a_package_adds_commands_to_a_group_of_another_and_replaces_none(run: Run) -> None:
    assert run("things", "greet", "ada").output == "ada\n"
    assert run("things", "thing").output == "thing done\n"


def test_help_names_kinds_of_values_and_keeps_the_lines_of_examples(run: Run) -> None:
    shown = run("search", "--help").output
    assert "<str>" not in shown
    assert "<bool>" not in shown
    assert "At length, in a paragraph of two lines." in shown
    assert "     greet ada\n" in "\n".join(line.rstrip() for line in shown.splitlines()) + "\n"


def test_a_value_that_is_none_of_the_choices_is_told_without_words_of_the_library(run: Run) -> None:
    refused = run("choose", "third")
    assert refused.exit_code == 2
    assert "Value error" not in refused.stderr
    assert "'third' is not one of 'first', 'second'" in " ".join(refused.stderr.split())


def test_a_plugin_that_cannot_be_imported_is_one_line(run: Run) -> None:
    for name, problem in (("broken", "no_such_module_anywhere"), ("absent", "absent_under_test")):
        result = run(name)
        assert result.exit_code == 1
        assert len(result.stderr.splitlines()) == 1
        assert f"`connectra {name}` cannot be loaded" in result.stderr
        assert problem in result.stderr


def test_an_error_for_people_is_its_text_and_exit_code_1(run: Run) -> None:
    result = run("refuse")
    assert (result.exit_code, result.stderr, result.stdout) == (1, "no, because\n  field: is wrong\n", "")


def test_an_unknown_command_names_the_likely_one(run: Run) -> None:
    result = run("serach")
    assert result.exit_code == 2
    assert "Did you mean 'search'" in result.output


def test_every_command_of_the_client_itself_has_a_place_and_a_line() -> None:
    placed = {name for names in PANELS.values() for name in names}
    own = [entry for entry in entry_points(group=plugins.GROUP) if entry.module.startswith("connectra_client.")]
    assert {entry.name for entry in own} == {
        "contacts",
        "companies",
        "import",
        "export",
        "search",
        "count",
        "filters",
        "explain",
        "history",
        "jobs",
        "login",
        "logout",
        "profiles",
        "index",
    }
    for entry in own:
        assert entry.name in placed
        assert summary(entry).endswith(".")
        entry.load()


def commands(group: Any, *names: str) -> Iterator[tuple[str, Any]]:
    """Every command of all packages, by its whole name."""
    for name, command in group.commands.items():
        loaded = command.load() if hasattr(command, "load") else command
        if hasattr(loaded, "commands"):
            yield from commands(loaded, *names, name)
        else:
            yield " ".join((*names, name)), loaded


def test_every_command_has_examples_of_itself_and_readable_kinds_of_values() -> None:
    found = dict(commands(Commands(name="connectra")))
    assert {"contacts update", "jobs first_time", "jobs retry", "keys add", "audit", "up"} <= found.keys()
    for name, command in found.items():
        text, _, examples = command.help.partition("\n\nExamples:\n")
        assert text.strip(), name
        lines = [line.strip() for line in examples.splitlines()]
        assert lines, name
        assert all(f"connectra {name}" in line for line in lines), name
        for param in command.params:
            kind = param.display_type_rich(None) if param.metavar is None else param.metavar
            assert "<str>" not in str(kind), (name, param.name)
            assert "%Y" not in str(kind), (name, param.name)


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("connectra jobs ", {"list", "show", "watch", "cancel", "retry", "fetch", "first_time"}),
        ("connectra search con", {"contacts"}),
        ("connectra search contacts -o ", {"table", "json", "csv", "name"}),
        ("connectra contacts get --pro", {"--profile"}),
        ("connectra profiles use ", {"local", "staging"}),
    ],
)
def test_a_shell_is_offered_commands_choices_options_and_profiles(
    typed: str, offered: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    profiles.save(Profiles(named={"staging": Profile("https://staging.example", "key")}))
    asked = {"_CONNECTRA_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    shown = CliRunner().invoke(app, [], env=asked, prog_name="connectra")
    assert set(shown.stdout.split()) == offered


# They answer with nothing but words about what they did, or with a file or a key as it is.
WITHOUT_FORMAT = (
    *("run", "up", "down", "reset", "migrate", "api-server", "login", "logout", "profiles use", "sample", "export"),
    *("contacts delete", "companies delete", "jobs fetch", "jobs cancel", "jobs first_time"),
    *("keys add", "keys update", "keys rotate", "keys revoke"),
)


def test_every_command_that_answers_does_so_in_all_formats() -> None:
    every = commands(Commands(name="connectra"))
    found = {name: {option for param in command.params for option in param.opts} for name, command in every}
    without = [name for name, options in found.items() if not {"-o", "--output", "--json"} <= options]

    assert sorted(without) == sorted(WITHOUT_FORMAT)
