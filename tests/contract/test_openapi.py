"""The OpenAPI document, against itself and against the running gateway."""

import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

DOCUMENT: dict[str, Any] = json.loads(resources.files("connectra_gateway").joinpath("openapi.json").read_text())
SECONDS = 25
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_schema_conformance,response_headers_conformance"
)


def examples() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every body of the document, sent or answered, with where it stands."""
    for path, verbs in DOCUMENT["paths"].items():
        for verb, operation in verbs.items():
            bodies = {"request": operation.get("requestBody"), **operation["responses"]}
            for name, body in bodies.items():
                if body:
                    yield f"{verb.upper()} {path} {name}", body["content"]["application/json"]


@pytest.mark.parametrize(("at", "media"), list(examples()))
def test_every_body_has_an_example_that_fits_its_schema(at: str, media: dict[str, Any]) -> None:
    schema = {**media["schema"], "components": DOCUMENT["components"]}
    if at != "GET /health/db 503":  # PostgreSQL is up in the table of calls
        jsonschema_rs.Draft202012Validator(schema).validate(media["example"])


def test_the_key_is_asked_for_everywhere_but_for_health() -> None:
    assert DOCUMENT["components"]["securitySchemes"]["key"]["name"] == "X-API-Key"
    assert DOCUMENT["security"] == [{"key": []}]
    open_to_all = [p for p, verbs in DOCUMENT["paths"].items() if any(o.get("security") == [] for o in verbs.values())]
    assert open_to_all == ["/health"]


async def test_generated_calls_get_no_server_error_and_only_what_is_described(
    stack: Any, run_gateway: Callable[..., Any], tmp_path: Path
) -> None:
    services = {f"{name.upper()}_ADDRESS": address for name, address in stack.grpc.items()}
    gateway = await asyncio.to_thread(run_gateway, **services)
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).parent / "st"), "run", f"{gateway.url}/openapi.json",
        "--header", f"X-API-Key: {gateway.api_key}", "--checks", CHECKS, "--phases", "examples,coverage,fuzzing",
        "--max-time", str(SECONDS), "--request-timeout", "20", "--continue-on-failure", "--generation-database", "none",
        "--warnings", "off", "--no-color", cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    text = (await process.communicate())[0].decode()
    assert process.returncode == 0, text
    assert f"Tested: {sum(map(len, DOCUMENT['paths'].values()))}" in text
