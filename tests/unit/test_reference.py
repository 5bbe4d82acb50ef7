"""The makers of the OpenAPI document and of the reference pages."""

import importlib.metadata
import shutil
from pathlib import Path

import pytest
from connectra_reference import made, schemas
from connectra_reference.contracts import ROOT, methods
from connectra_reference.operations import operations
from connectra_reference.shapes import TEXT, obj
from connectra_reference.table import rows, template


def test_the_committed_files_are_what_is_made() -> None:
    assert made.stale(ROOT) == []


def test_a_changed_or_missing_file_is_named_and_written_again(tmp_path: Path) -> None:
    paths = list(made.made())
    for path in paths:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    (tmp_path / paths[0]).unlink()
    (tmp_path / paths[1]).write_text("changed by hand")
    assert made.stale(tmp_path) == paths[:2]
    made.write(tmp_path)
    assert made.stale(tmp_path) == []


def test_every_rest_method_has_an_operation_a_success_and_an_example() -> None:
    names = [method.name for method in methods()]
    assert sorted(names) == sorted(operations())
    shown = {(row.method, row.status) for row in rows()}
    for name, operation in operations().items():
        assert any((name, status) in shown for status in operation.answers if status < 300), name


def test_a_comment_that_refers_to_the_typed_door_is_spelled_out_in_the_words_of_rest() -> None:
    for method in methods():
        assert "Service." not in method.words, method
        assert "NOT_FOUND" not in method.words, method


def test_every_call_of_the_table_is_for_a_path_of_the_contracts() -> None:
    known = {f"{verb} {path}" for method in methods() for verb, path in method.bindings}
    for row in rows():
        if row.method and row.case != "wrong method":
            assert template(row.call) in known, row


def test_requests_have_the_schemas_of_the_models_that_services_declare() -> None:
    names = {model.__name__ for model in schemas.request_models()}
    assert {"Vql", "CreateJobBody", "ListJobsBody"} <= names <= set(schemas.schemas())


def test_what_is_declared_as_a_request_must_be_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = importlib.metadata.EntryPoint("CreateJob", "json:dumps", schemas.GROUP)
    monkeypatch.setattr(schemas, "entry_points", lambda group: [wrong] if group == schemas.GROUP else [])
    with pytest.raises(TypeError, match=r"connectra.request_models: .*dumps.* is not a pydantic model"):
        schemas.request_models()


def test_members_are_required_unless_said_otherwise() -> None:
    assert obj(a=TEXT, b=TEXT)["required"] == ["a", "b"]
    assert obj("b", a=TEXT, b=TEXT)["required"] == ["b"]
