"""The documented paths as the gateway knows them, against the annotations of the contracts."""

import re

import pytest
from connectra_gateway import descriptors, paths
from connectra_gateway.descriptors import Binding

SERVICES = descriptors.services()
BINDINGS = [binding for service in SERVICES for binding in service.bindings]
# CONTRACT: every path the documentation names, with its verbs.
DOCUMENTED = {
    "/health": {"GET"},
    "/health/db": {"GET"},
    "/common/upload-url": {"GET"},
    "/common/jobs": {"POST"},
    "/common/jobs/create": {"POST"},
    "/common/batch-upsert": {"POST"},
    "/common/company/filters": {"GET"},
    "/common/contacts/filters/data": {"POST"},
    **{
        f"/{records}{path}": verbs
        for records in ("companies", "contacts")
        for path, verbs in {
            "": {"POST"},
            "/count": {"POST"},
            "/create": {"POST"},
            "/upsert": {"POST"},
            "/bulk": {"POST"},
            "/batch-upsert": {"POST"},
            "/filters": {"GET"},
            "/filters/data": {"POST"},
            "/00c5752b-4b70-5e55-a027-63ae68753a52": {"GET", "PUT", "DELETE"},
        }.items()
    },
}


def allowed(path: str) -> set[str] | None:
    """The verbs of the first group that knows the path, as Envoy's mappers see it."""
    for group in paths.known_paths(BINDINGS):
        if any(re.fullmatch(regex, path) for regex in group.regexes):
            return set(group.verbs)
    return None


@pytest.mark.parametrize(("path", "verbs"), DOCUMENTED.items())
@pytest.mark.parametrize("prefix", ["", "/v1"])
@pytest.mark.parametrize("end", ["", "/"])
def test_documented_path_is_known_with_its_verbs(path: str, verbs: set[str], prefix: str, end: str) -> None:
    assert allowed(f"{prefix}{path}{end}") == verbs | ({"HEAD"} if "GET" in verbs else set())


@pytest.mark.parametrize("binding", BINDINGS, ids=lambda binding: f"{binding.verb} {binding.template}")
def test_annotated_path_is_known(binding: Binding) -> None:
    path = re.sub(r"\{\w+\}", "some-value", binding.template)

    assert binding.verb in (allowed(path) or ())


def test_every_path_is_annotated_with_and_without_version() -> None:
    templates = {(binding.verb, binding.template) for binding in BINDINGS}
    bare = {(verb, template) for verb, template in templates if not template.startswith("/v1/")}

    assert templates == bare | {(verb, f"/v1{template}") for verb, template in bare}


@pytest.mark.parametrize(
    "path",
    ["/", "/v1", "/v2/companies", "/nothing", "/companies/a/b", "/healthy", "/health/db/x", "/common", "/x/health"],
)
def test_other_path_is_unknown(path: str) -> None:
    assert allowed(path) is None


def test_expression_matches_the_whole_path_only() -> None:
    regex = paths.expression("/companies/{uuid}")

    assert re.fullmatch(regex, "/v1/companies/u-1/")
    assert not re.fullmatch(regex, "/companies/")
    assert not re.fullmatch(regex, "/companies/a?x=1")
    assert not re.fullmatch(paths.expression("/a.b"), "/axb")


@pytest.mark.parametrize("template", ["/a/{b=*}", "/a/**", "a", "/a:verb"])
def test_template_that_cannot_be_expressed_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match="cannot express"):
        paths.expression(template)


def test_literal_path_is_shadowed_for_the_verbs_of_the_variable_one() -> None:
    stolen = {template: set(group.verbs) for group in paths.shadowed(BINDINGS) for template in group.templates}

    assert stolen["/companies/count"] == {"GET", "HEAD", "PUT", "DELETE"}
    assert stolen["/contacts/filters"] == {"PUT", "DELETE"}
    assert stolen["/common/jobs/create"] == {"GET", "HEAD"}
    assert "/health/db" not in stolen


def test_path_variables_are_found() -> None:
    assert paths.variables(BINDINGS) == ["name", "service", "upload_id", "uuid"]
