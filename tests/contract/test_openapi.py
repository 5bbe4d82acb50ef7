"""The OpenAPI document, against itself and against the running gateway."""

import asyncio
import json
from collections.abc import Iterator
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest
from connectra_local.sample import sample_csv
from connectra_reference.first_tries import SAMPLE

from tests.support.gateway import RunGateway
from tests.support.http import client
from tests.support.jobs import import_file
from tests.support.stack import Stack, program

DOCUMENT: dict[str, Any] = json.loads(resources.files("connectra_gateway").joinpath("openapi.json").read_text())
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_schema_conformance,response_headers_conformance"
)


def examples() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every request and response body of the document, with its location."""
    for path, verbs in DOCUMENT["paths"].items():
        for verb, operation in verbs.items():
            bodies = {"request": operation.get("requestBody"), **operation["responses"]}
            for name, body in bodies.items():
                for media in (body or {}).get("content", {}).values():
                    yield f"{verb.upper()} {path} {name}", media


@pytest.mark.parametrize(("at", "media"), list(examples()))
def test_every_body_has_an_example_that_fits_its_schema(at: str, media: dict[str, Any]) -> None:
    schema = {**media["schema"], "components": DOCUMENT["components"]}
    if at != "GET /health/db 503":  # PostgreSQL is up in the table of calls
        jsonschema_rs.Draft202012Validator(schema).validate(media["example"])


def test_the_key_is_asked_for_everywhere_but_for_health() -> None:
    assert DOCUMENT["components"]["securitySchemes"]["key"]["name"] == "X-API-Key"
    assert DOCUMENT["security"] == [{"key": []}, {"token": []}]
    open_to_all = [p for p, verbs in DOCUMENT["paths"].items() if any(o.get("security") == [] for o in verbs.values())]
    assert open_to_all == ["/health"]


async def test_what_is_tried_first_succeeds_and_finds_something_in_the_sample(api: httpx.AsyncClient) -> None:
    rows = list(islice(b"".join(sample_csv(10_000, 1)).splitlines(keepends=True), 1_001))
    assert (await import_file(api, b"".join(rows)))["status"] == "completed"

    async def get(path: str) -> httpx.Response:
        return await api.get(path)

    for entity, uuid in SAMPLE.items():
        assert (await get(f"/{entity.table}/{uuid}")).status_code == 200
    tried = 0
    for path, verbs in DOCUMENT["paths"].items():
        for verb, operation in verbs.items():
            given = {one["name"]: one.get("example") for one in operation.get("parameters", ())}
            # Those need a job, a file or a client of the caller's own.
            unknown = given.get("uuid", "") is None or "{upload_id}" in path or "{name}" in path
            needs = unknown or path == "/common/imports/preview"
            if needs or verb == "delete":
                continue
            assert not [one for one in operation.get("parameters", ()) if one["in"] == "header" and "example" in one]
            query = {
                one["name"]: one["example"]
                for one in operation.get("parameters", ())
                if one["in"] == "query" and "example" in one
            }
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
            url = path.format(**given)
            answer = await api.request(verb, url, params=query, json=body)
            assert answer.status_code in (200, 201, 409), f"{verb} {url} {body}: {answer.text}"
            found = answer.json()
            assert found.get("data", True), f"{verb} {url} {body} finds nothing"
            assert found.get("count", 1), f"{verb} {url} {body} finds nothing"
            tried += 1
    assert tried > 30


def with_nul(value: Any) -> Iterator[Any]:
    """For each text in the value, the value with a NUL character added to that text."""
    match value:
        case str():
            yield value + "\0"
        case dict():
            yield from ({**value, key: other} for key, inner in value.items() for other in with_nul(inner))
        case list():
            yield from (
                [*value[:i], other, *value[i + 1 :]] for i, inner in enumerate(value) for other in with_nul(inner)
            )


async def test_a_nul_character_in_any_text_is_no_server_error(stack: Stack, run_gateway: RunGateway) -> None:
    gateway = await asyncio.to_thread(run_gateway, **stack.addresses())
    refused = 0
    async with client(gateway.url, gateway.api_key) as http:
        for path, verbs in DOCUMENT["paths"].items():
            for verb, operation in verbs.items():
                content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
                for body in with_nul(content.get("example")):
                    answer = await http.request(verb, path.replace("{", "").replace("}", ""), json=body)
                    assert answer.status_code < 500, f"{verb} {path} {body}: {answer.text}"
                    refused += "U+0000" in answer.text
    assert refused > 10


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "chosen", [("--seed", "7", "--max-time", "25"), pytest.param(("--max-time", "600"), marks=pytest.mark.long)]
)
async def test_generated_calls_get_no_server_error_and_only_what_is_described(
    stack: Stack, run_gateway: RunGateway, tmp_path: Path, chosen: tuple[str, ...]
) -> None:
    gateway = await asyncio.to_thread(run_gateway, **stack.addresses())
    process = await asyncio.create_subprocess_exec(
        program("st"), "run", f"{gateway.url}/openapi.json",
        "--header", f"X-API-Key: {gateway.api_key}", "--checks", CHECKS, "--phases", "examples,coverage,fuzzing",
        *chosen, "--request-timeout", "20", "--continue-on-failure", "--generation-database", "none",
        "--warnings", "off", "--no-color", cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    text = (await process.communicate())[0].decode()
    assert process.returncode == 0, text
    assert f"Tested: {sum(map(len, DOCUMENT['paths'].values()))}" in text
