"""The makers of the OpenAPI document and of the reference pages."""

import importlib.metadata
import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pytest
from connectra_common.records.fields import COMPANY, CONTACT, COPIED, Entity, Rule
from connectra_common.search.mappings import index_body
from connectra_common.settings import ElasticsearchSettings, SettingsGroup, load
from connectra_jobs.models import FileKind
from connectra_reference import examples, fields_page, made, openapi, schemas, settings_page
from connectra_reference.contracts import ROOT, methods
from connectra_reference.operations import operations
from connectra_reference.shapes import TEXT, obj
from connectra_reference.table import rows, template
from pydantic import AliasChoices, Field, SecretStr

from tests.support.environment import cleared


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


def test_every_kind_of_file_that_a_job_can_have_is_described() -> None:
    assert schemas.schemas()["JobFile"]["properties"]["kind"]["enum"] == list(get_args(FileKind))


def test_requests_have_the_schemas_of_the_models_that_services_declare() -> None:
    names = {model.__name__ for model in schemas.request_models()}
    assert {"Vql", "CreateJobBody", "ListJobsBody"} <= names <= set(schemas.schemas())


def test_a_job_has_the_states_that_its_service_declares() -> None:
    assert schemas.schemas()["Job"]["properties"]["status"]["enum"] == [*schemas.states_of("Job")]
    assert "retry_in_queued" in schemas.states_of("Job")


def test_what_is_declared_as_a_request_must_be_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = importlib.metadata.EntryPoint("CreateJob", "json:dumps", schemas.GROUP)
    monkeypatch.setattr(schemas, "entry_points", lambda group: [wrong] if group == schemas.GROUP else [])
    with pytest.raises(TypeError, match=r"connectra.request_models: .*dumps.* is not a pydantic model"):
        schemas.request_models()


def test_a_generated_client_need_not_send_what_is_optional() -> None:
    """Generators take a member with a default for one that is always there."""

    def defaults(value: Any, at: str) -> list[str]:
        if isinstance(value, list):
            return [found for item in value for found in defaults(item, at)]
        if not isinstance(value, dict):
            return []
        own = [at] if "default" in value and "type" in value else []
        return own + [
            found for name, item in value.items() if name != "example" for found in defaults(item, f"{at}.{name}")
        ]

    document = openapi.document()
    assert defaults(document["components"]["schemas"], "") == []
    assert {"bulkUpsertContacts", "listContacts", "watchJob"} <= {
        operation["operationId"] for verbs in document["paths"].values() for operation in verbs.values()
    }


def test_every_member_of_a_query_says_what_it_is() -> None:
    found = schemas.schemas()
    for name in (
        "Vql",
        "TextMatch",
        "FilterNode",
        "Facet",
        "Aggregate",
        "GroupBy",
        "ListJobsBody",
        "NewContact",
        "Contact",
    ):
        silent = [member for member, schema in found[name]["properties"].items() if "description" not in schema]
        assert silent == [], name
    assert found["Vql"]["properties"]["limit"]["maximum"] == 100
    assert found["NewContact"]["required"] == ["first_name", "last_name", "email"]


def test_members_are_required_unless_said_otherwise() -> None:
    assert obj(a=TEXT, b=TEXT)["required"] == ["a", "b"]
    assert obj("b", a=TEXT, b=TEXT)["required"] == ["b"]
    assert "required" not in obj("-", a=TEXT)


# ---- docs/settings.md


class Size(SettingsGroup, title="Size"):
    """How large."""

    rows: int = Field(5, gt=0, le=9, validation_alias="ROWS", description="Rows | columns.")


class Wide(Size, title="Width"):
    """How wide."""

    hidden: SecretStr | None = Field(None, validation_alias=AliasChoices("HIDDEN", "SECRET"), description="Not shown.")
    wanted: bool = Field(validation_alias="WANTED", description="Whether.")


@dataclass(frozen=True)
class Process:
    """What `process` reads."""

    width: Wide


def declare(monkeypatch: pytest.MonkeyPatch, **processes: str) -> None:
    points = [importlib.metadata.EntryPoint(name, value, settings_page.GROUP) for name, value in processes.items()]
    monkeypatch.setattr(settings_page, "entry_points", lambda group: points)


def test_settings_stand_where_they_are_defined_with_all_that_read_them(monkeypatch: pytest.MonkeyPatch) -> None:
    declare(monkeypatch, b=f"{__name__}:Process", a=f"{__name__}:Size")
    page = settings_page.page()
    assert "| b | `process` | [Size](#size), [Width](#width) |" in page
    assert "How large. Read by: a, b.\n\n| variable | value | default | |\n|---|---|---|---|\n" in page
    assert page.count("| `ROWS` | whole number, 1 to 9 | `5` | Rows \\| columns. |") == 1
    assert (
        "| `HIDDEN` or `SECRET` | secret | | Not shown. |\n| `WANTED` | `true` or `false` | required | Whether. |"
        in page
    )


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "integer", "minimum": 0}, "whole number, at least 0"),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 2}, "number, above 0, at most 2"),
        ({"type": "string", "format": "password", "minLength": 8}, "secret, at least 8 characters"),
        ({"anyOf": [{"type": "string", "format": "file-path"}, {"type": "null"}]}, "file"),
        ({"enum": ["json", "console"], "type": "string"}, "`json`, `console`"),
        ({"const": "grpc", "type": "string"}, "`grpc`"),
    ],
)
def test_what_a_setting_may_be_is_said_in_words(schema: dict[str, Any], words: str) -> None:
    assert settings_page.allowed(schema) == words


def test_a_kind_of_setting_without_words_ends_the_run() -> None:
    with pytest.raises(ValueError, match="no words for 'array'"):
        settings_page.allowed({"type": "array"})


def test_a_setting_without_a_description_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Size.model_fields["rows"], "description", None)
    declare(monkeypatch, a=f"{__name__}:Size")
    with pytest.raises(ValueError, match=r"Size.rows: the description is missing"):
        settings_page.page()


def test_every_package_with_settings_declares_them() -> None:
    declared = {point.value.partition(":")[0] for point in importlib.metadata.entry_points(group=settings_page.GROUP)}
    files = [*ROOT.glob("services/*/src/*/settings.py"), *ROOT.glob("libs/ops/src/*/settings.py")]
    files += [*ROOT.glob("gateway/src/*/settings.py"), *ROOT.glob("deploy/*/src/*/settings.py")]
    assert declared == {f"{file.parent.name}.settings" for file in files}


def test_every_variable_that_the_local_suite_reads_is_described() -> None:
    """It has settings of its own, and looks at those of the services."""
    page = settings_page.page()
    files = [ROOT / "deploy/local/bootstrap.py", *(ROOT / "deploy/local/src").rglob("*.py")]
    read = {name for file in files for name in re.findall(r'env(?:iron)?\.get\(\s*"([A-Z_0-9]+)"', file.read_text())}
    assert read >= {"CONNECTRA_HOME", "ES_JAVA_HOME", "PG_DB_CONNECTION", "CONNECTRA_NO_UV"}
    assert {name for name in read if f"`{name}`" not in page} == set()


# ---- docs/fields.md


def test_every_field_and_every_rule_is_on_the_page() -> None:
    page = fields_page.page()
    companies, _, rest = page.partition("## Contacts")
    contacts, _, copies = rest.partition("## Of a contact's company")
    for entity, part in ((COMPANY, companies), (CONTACT, contacts)):
        assert all(part.count(f"\n| `{field.name}` |") == 1 for field in entity.fields)
    assert all(f"\n| `company_{field.name}` |" in copies for field in COPIED)
    assert set(fields_page.RULES) == set(Rule)


def test_what_searches_a_field_is_what_the_validator_takes() -> None:
    page = fields_page.page()
    texts = "`text_matches` (exact, shuffle, substring), `keyword_match`, `contains`, `prefix`"
    assert f"| `title` | text | text | `title` | 19 Title, stored | {texts} | yes |" in page
    assert (
        "| `created_at` | time | given by the server | | | `keyword_match`, `range_query`, `gt`, `gte`, `lt`, `lte` | yes |"
        in page
    )
    email = "`text_matches` (substring), `keyword_match`, `contains`, `prefix`, `domain`"
    assert f"| `email` | text | email | `email` | 18 Email, direct | {email} | yes |" in page
    assert "| `website` | text | url | `person_website` | | | |" in page


# ---- .example.env and examples


def test_the_sample_of_the_environment_is_enough_for_every_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What stands behind a # is the default."""
    cleared(monkeypatch, tmp_path)
    processes = {point.name: point.load() for point in importlib.metadata.entry_points(group=settings_page.GROUP)}
    for name in examples.PROCESSES:
        Path(".env").write_text("".join(f"{given}={value}\n" for given, value in examples.GIVEN.items()))
        expected = load(processes[name])
        Path(".env").write_text((ROOT / ".example.env").read_text())
        assert load(processes[name]) == expected, name


def test_the_sample_of_the_environment_has_every_variable_once() -> None:
    shown = re.findall(r"^#?([A-Z][A-Z0-9_]+)=", examples.env_file(), re.MULTILINE)
    assert sorted(shown) == sorted(set(shown))
    documented = {line.split("`")[1] for line in settings_page.page().splitlines() if line.startswith("| `")}
    of_the_local_suite = {name for name in documented if name.startswith("CONNECTRA_")} | {"PG_BIN", "ES_JAVA_HOME"}
    assert documented - set(shown) == of_the_local_suite


@pytest.mark.parametrize("entity", [COMPANY, CONTACT])
def test_the_sample_of_an_index_is_what_is_created_with_defaults(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, entity: Entity
) -> None:
    cleared(monkeypatch, tmp_path)
    body = index_body(entity, ElasticsearchSettings())
    monkeypatch.setenv("ELASTICSEARCH_SHARDS", "5")
    assert json.loads(examples.index_create(entity)) == body
