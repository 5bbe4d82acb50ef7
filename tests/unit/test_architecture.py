"""docs/architecture.md tells the truth: who may touch which table, and where things are."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from connectra_common.db import roles
from connectra_common.db.tables import metadata

from tests.support.paths import ROOT

PAGE = ROOT / "docs/architecture.md"
# The processes by the folder of their sources; of two that fit, the longer one.
SOURCES = {
    "query": "services/query/src/connectra_query",
    "write": "services/write/src/connectra_write",
    "indexer": "services/write/src/connectra_write/indexer",
    "jobs": "services/jobs/src/connectra_jobs",
    "ops": "libs/ops/src/connectra_ops",
}
SHARED = ROOT / "libs/common/src/connectra_common/db"
_WRITES = re.compile(r"\b(?:INSERT INTO|UPDATE|DELETE FROM|LOCK TABLE|TRUNCATE)\s+(?:ONLY )?([a-z_]+|\{[^}]*\})")
_READS = re.compile(r"(?<!DELETE )\b(?:FROM|JOIN)\s+(?:ONLY )?([a-z_]+|\{[^}]*\})")

Use = tuple[str, str]  # table, "read" or "write"


def test_each_process_touches_the_tables_that_the_architecture_gives_it() -> None:
    found: dict[str, dict[str, set[str]]] = {"write": defaultdict(set), "read": defaultdict(set)}
    for file in sorted({file for folder in SOURCES.values() for file in (ROOT / folder).rglob("*.py")}):
        process = max((n for n, f in SOURCES.items() if file.is_relative_to(ROOT / f)), key=lambda n: len(SOURCES[n]))
        for table, how in uses(file):
            found[how][table].add(process)

    assert {t: sorted(p) for t, p in found["write"].items()} == documented("written by")
    assert {t: sorted(p) for t, p in found["read"].items()} == documented("read by")


def test_the_role_of_a_process_has_rights_to_just_those_tables() -> None:
    # The pools run the code of the jobs service with fewer rights.
    folders = {"query": "query", "write": "write", "indexer": "indexer", "jobs": "jobs", "worker": "jobs"}
    granted: dict[str, set[tuple[str, str]]] = {"write": set(), "read": set()}
    for role, folder in folders.items():
        for table, privileges in roles.RIGHTS[role].items():
            if table in metadata.tables:
                granted["read"] |= {(table, folder)} if "SELECT" in privileges else set()
                granted["write"] |= {(table, folder)} if re.search("INSERT|UPDATE|DELETE", privileges) else set()

    read, written = (
        {
            (table, process)
            for table, processes in documented(column).items()
            for process in processes
            if process != "ops"
        }
        for column in ("read by", "written by")
    )
    assert granted["write"] == written
    # To change the rows that a condition names takes the right to read them.
    assert read <= granted["read"] <= read | written


def test_the_sql_of_a_statement_is_seen() -> None:
    source = (
        'F = f"DELETE FROM {entity.table} USING outbox o WHERE EXISTS (SELECT FROM jobs FOR UPDATE)"\n"""FROM audit"""'
    )
    assert set(_uses(ast.parse(source))) == {("companies", "write"), ("contacts", "write"), ("jobs", "read")}


def test_every_place_that_is_named_exists() -> None:
    named = re.findall(r"`((?:services|libs|gateway|deploy|tests)/[^`{ ]*)`", PAGE.read_text())

    assert len(named) > 10
    assert [place for place in named if not list(ROOT.glob(place.replace("…", "**").rstrip("/")))] == []


def uses(file: Path) -> Iterator[Use]:
    """What the statements of a module touch, those of the shared ones that it imports included."""
    tree = ast.parse(file.read_text())
    yield from _uses(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("connectra_common.db"):
            names = [node.module.rpartition(".")[2], *(alias.name for alias in node.names)]  # type: ignore[union-attr]
            for name in names:
                if (module := SHARED / f"{name}.py").exists():
                    yield from _uses(ast.parse(module.read_text()))


def _uses(tree: ast.AST) -> Iterator[Use]:
    for text in _texts(tree):
        for pattern, how in ((_WRITES, "write"), (_READS, "read")):
            for name in pattern.findall(text):
                for table in ("companies", "contacts") if "table" in name else (name,):
                    if table in metadata.tables:
                        yield table, how


def _texts(tree: ast.AST) -> Iterator[str]:
    """The texts of a module but for docstrings; what is put into one stands in braces."""
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else f"{{{ast.unparse(part)[2:-1]}}}"
                for part in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose | inside:
            yield node.value


def documented(column: str) -> dict[str, list[str]]:
    """A column of the table in docs/architecture.md: processes by table."""
    lines = PAGE.read_text().splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("| table |"))
    at = [cell.strip() for cell in lines[head].split("|")].index(column)
    rows: dict[str, list[str]] = {}
    for line in lines[head + 2 :]:
        if not line.startswith("|"):
            break
        cells = [cell.strip() for cell in line.split("|")]
        if processes := sorted(name.strip() for name in cells[at].split(",") if name.strip() in SOURCES):
            rows |= {table.strip("` "): processes for table in cells[1].split(",")}
    return rows
