"""The console's files: what is served, and that no record can become markup or code."""

import re
from importlib import resources

import pytest
from connectra_gateway.pages import Page, pages
from connectra_gateway.settings import GatewaySettings
from pydantic import ValidationError

UPLOADS = "https://s3.example:9000"
CONSOLE: dict[str, Page] = {
    page.name.removeprefix("console-"): page for page in pages([UPLOADS]) if page.name.startswith("console-")
}
SCRIPTS = {name: page.content.decode() for name, page in CONSOLE.items() if name.endswith(".js")}
# What makes markup or code of a text, keeps things beyond the page, or runs later than a policy was looked at.
DANGERS = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser|createContextualFragment|srcdoc|"
    r"localStorage|sessionStorage|indexedDB|document\.cookie|\bimport\("
)


def test_every_file_of_the_folder_is_served_and_nothing_is_missing() -> None:
    folder = resources.files("connectra_gateway").joinpath("console")
    assert {*CONSOLE} == {file.name for file in folder.iterdir()}
    imported = {f"{name}" for text in SCRIPTS.values() for name in re.findall(r'from "\./(.+?)"', text)}
    assert imported <= {*SCRIPTS}
    assert {*SCRIPTS} - imported == {"app.js"}
    linked = re.findall(r'(?:src|href)="(/[^"]*)"', CONSOLE["index.html"].content.decode())
    assert {path for path in linked if path != "/docs"} == {
        "/console/app.js",
        "/console/console.css",
        "/console/icon.svg",
    }
    for path in linked:
        assert any(re.fullmatch(page.path, path) for page in pages())


def test_the_page_has_no_script_or_style_of_its_own() -> None:
    page = CONSOLE["index.html"].content.decode()
    assert re.findall(r"<script(?![^>]* src=)", page) == []
    assert re.findall(r"<style|\sstyle=|\son\w+=|javascript:", page) == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_nothing_of_the_console_makes_markup_or_code_of_a_text(name: str) -> None:
    text = re.sub(r"//.*", "", SCRIPTS[name])
    assert DANGERS.findall(text) == []


def test_the_policy_allows_own_files_and_calls_and_uploads_and_nothing_else() -> None:
    [policy] = {page.policy for page in CONSOLE.values()}
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self'",
        "connect-src": f"'self' {UPLOADS}",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }


@pytest.mark.parametrize("origin", ["*", "https://s3.example/path", "s3.example", "https://s3.example; script-src *"])
def test_what_is_no_origin_is_refused(origin: str) -> None:
    with pytest.raises(ValidationError, match="is not an origin"):
        GatewaySettings(_env_file=None, upload_origins=origin)


def test_uploads_go_where_the_settings_say() -> None:
    settings = GatewaySettings(
        _env_file=None, upload_origins="https://*.s3.eu-central-1.amazonaws.com, http://127.0.0.1:8333"
    )
    assert settings.upload_origin_list == ["https://*.s3.eu-central-1.amazonaws.com", "http://127.0.0.1:8333"]
