"""Operators' commands where they are given no settings."""

import json
import os
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import typer
from connectra_ops import here
from connectra_ops.audit import audit
from connectra_ops.doctor.cli import doctor
from typer.testing import CliRunner, Result

from tests.support.environment import cleared


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty working directory of a machine on which nothing runs."""
    cleared(monkeypatch, tmp_path)
    monkeypatch.setattr(here, "entry_points", lambda group: [])
    return tmp_path


def run(command: object, *arguments: str) -> Result:
    app = typer.Typer()
    app.command()(command)  # type: ignore[type-var]
    return CliRunner().invoke(app, list(arguments))


def test_the_doctor_says_that_nothing_runs_and_nothing_else() -> None:
    done = run(doctor, "--json")
    assert done.exit_code == 1
    (finding,) = json.loads(done.stdout)["checks"]
    assert "nothing runs on this machine" in finding["message"]
    assert "connectra up" in finding["advice"]


def test_the_audit_trail_says_so_too() -> None:
    done = run(audit)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "nothing runs on this machine" in done.stderr
    assert "connectra up" in done.stderr


def test_what_the_environment_or_a_file_names_is_meant(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    (folder / ".env").write_text("PG_DB_HOST=elsewhere\n")
    assert here.find()
    (folder / ".env").unlink()
    assert not here.find()
    monkeypatch.setenv("S3_BUCKET", "mine")
    assert here.find()


def test_else_it_is_what_runs_here(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("local", "tests.unit.test_ops_here:environment", "")
    monkeypatch.setattr(here, "entry_points", lambda group: [entry] if group == here.LOCAL_ENVIRONMENTS else [])
    monkeypatch.setenv("PG_DB_CONNECTION", "")
    monkeypatch.delenv("PG_DB_CONNECTION")  # so that it is taken back at the end
    assert here.find()
    assert os.environ["PG_DB_CONNECTION"] == "postgresql://here"


def environment() -> dict[str, str]:
    return {"PG_DB_CONNECTION": "postgresql://here"}
