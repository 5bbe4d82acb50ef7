"""Subcommands that installed packages add through entry points of the group "connectra.commands".

An entry point names a typed function (which becomes a command) or a `typer.Typer` (which becomes a group). A package is
imported only when one of its commands is called: the summaries in the list of commands are read from its source. Commands of the
group "connectra.commands.NAME" are added to the group NAME of another package.
"""

import ast
import importlib.util
import inspect
from datetime import datetime
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import typer
from rich.markup import escape
from typer.core import TyperCommand, TyperGroup

from connectra_client.complaints import told
from connectra_client.errors import ClientError
from connectra_client.exit_codes import exit_code

GROUP = "connectra.commands"
# The order of commands in the help; those not named here come last, under "More".
PANELS = {
    "On this machine": ("run", "up", "down", "status", "logs", "reset"),
    "Data": (
        "contacts",
        "companies",
        "search",
        "count",
        "filters",
        "explain",
        "history",
        "import",
        "export",
        "jobs",
        "sample",
    ),
    "Connections": ("login", "logout", "profiles", "keys"),
    "Operations": ("api-server", "doctor", "migrate", "index", "audit"),
}
_OTHERS = "More"
# How help names the value of an option; a flag has none.
_KINDS: dict[Any, str] = {bool: "", str: "TEXT", int: "N", float: "X", datetime: "DATE", Path: "FILE"}


class _Plugin(TyperCommand):
    """Stands in for a command until it is called."""

    def __init__(self, entry: EntryPoint) -> None:
        panel = next((panel for panel, names in PANELS.items() if entry.name in names), _OTHERS)
        super().__init__(entry.name, help=summary(entry), rich_help_panel=panel, add_help_option=False)
        self.entry = entry

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        return self.load().make_context(*args, **kwargs)

    def load(self) -> Any:
        """Import the command.

        Raises:
            ClientError: its package cannot be imported, or the entry point names neither a function nor a typer.Typer.
        """
        try:
            target = self.entry.load()
            if isinstance(target, typer.Typer):
                group: Any = typer.main.get_group(target)
                group.name = self.name
                for entry in entry_points(group=f"{GROUP}.{self.name}"):
                    if entry.name not in group.commands:
                        group.add_command(_Plugin(entry))
                for_people(group)
                return group
            single = typer.Typer(add_completion=False)
            single.command(self.name)(target)
            command = typer.main.get_command(single)
            for_people(command)
            return command
        except Exception as error:
            problem = f"{type(error).__name__}: {error}".splitlines()[0]
            raise ClientError(f"`connectra {self.name}` cannot be loaded ({self.entry.value}): {problem}") from error


class Commands(TyperGroup):
    """The group of all installed commands."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        found = {entry.name: entry for entry in entry_points(group=GROUP)}
        order = [name for names in PANELS.values() for name in names]
        for name in sorted(found, key=lambda name: (order.index(name) if name in order else len(order), name)):
            self.add_command(_Plugin(found[name]))

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        for_people(self)
        return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; a ClientError becomes its text on stderr and the exit code of its kind."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = error.message.removeprefix("Value error, ")
            raise
        except ClientError as error:
            typer.secho(told(error), err=True, fg=typer.colors.RED)
            raise typer.Exit(exit_code(error)) from error


def for_people(command: Any) -> None:
    """Make the help of a command, and of those in it, readable: paragraphs instead of lines of source, kinds of values instead of types."""
    command.help = _reflowed(command.help or "")
    for param in command.params:
        kind = param.type_descriptor.annotation
        if param.param_type_name == "argument":
            if kind in _KINDS or param.type_descriptor.is_list:
                param.display_type_rich = lambda ctx: None  # its name says it
        elif param.metavar is None and kind in _KINDS:
            param.metavar = _KINDS[kind]
    help_option = command.get_help_option

    def without_kind(ctx: Any) -> Any:
        if option := help_option(ctx):
            option.metavar = ""
        return option

    command.get_help_option = without_kind
    for inner in getattr(command, "commands", {}).values():
        if not isinstance(inner, _Plugin):
            for_people(inner)


def _reflowed(text: str) -> str:
    first, *others = (
        one if "\n " in one else one.replace("\n", " ") for one in escape(inspect.cleandoc(text)).split("\n\n")
    )
    # Typer takes the indentation from text whose first line alone has none: an empty paragraph keeps it.
    return "\n\n".join([first, *([""] if others else []), *others])


def installed(group: str, name: str) -> Any:
    """The target of an entry point that another package has for a command of this one; None if there is none."""
    return next((entry.load() for entry in entry_points(group=f"{GROUP}.{group}") if entry.name == name), None)


def summary(entry: EntryPoint) -> str:
    """The first line of a function's docstring or of a Typer's `help`, read from the source file."""
    try:
        spec = importlib.util.find_spec(entry.module)
        if spec is None or spec.origin is None:
            return f"(not available: there is no module {entry.module})"
        module = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    except (ImportError, OSError, SyntaxError) as error:
        return f"(not available: {error})"
    for node in module.body:
        if isinstance(node, ast.FunctionDef) and node.name == entry.attr:
            return _first_line(ast.get_docstring(node))
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Call)
            and any(isinstance(target, ast.Name) and target.id == entry.attr for target in node.targets)
        ):
            for keyword in node.value.keywords:
                if keyword.arg == "help" and isinstance(keyword.value, ast.Constant):
                    return _first_line(str(keyword.value.value))
    return _first_line(ast.get_docstring(module))


def _first_line(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0]
