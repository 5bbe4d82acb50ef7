"""Third-party clients with nothing but the key: grpcurl by reflection, a Postman collection by newman, gRPC-Web.

The first two need grpcurl, newman and openapi2postmanv2 in PATH; `make clients` fetches them and runs this.
"""

import asyncio
import json
import os
import re
import shutil
import struct
from pathlib import Path
from uuid import uuid4

import pytest
from connectra.query.v1 import query_service_pb2

from tests.support.http import client
from tests.support.paths import ROOT
from tests.support.stack import Stack


async def output_of(*command: str, status: int = 0) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    text = (await process.communicate())[0].decode()
    assert process.returncode == status, text
    return text


@pytest.mark.skipif(not shutil.which("grpcurl"), reason="no grpcurl here")
async def test_grpcurl_finds_and_calls_every_typed_service_by_reflection(stack: Stack) -> None:
    address = stack.gateway.removeprefix("http://")
    call = ("grpcurl", "-plaintext", "-H", f"x-api-key: {stack.api_key}")

    listed = (await output_of(*call, address, "list")).split()
    assert {"connectra.query.v1.QueryService", "connectra.write.v1.WriteService", "connectra.jobs.v1.JobsService"} <= {
        *listed
    }
    assert not [name for name in listed if name.endswith("RestService")]
    described = await output_of(*call, address, "describe", "connectra.jobs.v1.JobsService")
    assert "rpc CreateJob" in described
    described = await output_of(*call, address, "describe", "connectra.query.v1.QueryService.ListContacts")
    assert "rpc ListContacts" in described

    name = f"Acme {uuid4()}"
    body = json.dumps({"company": {"name": name}})
    created = json.loads(await output_of(*call, "-d", body, address, "connectra.write.v1.WriteService/CreateCompany"))
    asked = json.dumps({"uuid": created["company"]["uuid"]})
    found = json.loads(await output_of(*call, "-d", asked, address, "connectra.query.v1.QueryService/GetCompany"))
    assert found["company"]["name"] == name
    assert json.loads(await output_of(*call, address, "connectra.jobs.v1.JobsService/ListJobs")) is not None
    refused = await output_of("grpcurl", "-plaintext", address, "list", status=1)
    assert "invalid API key" in refused


@pytest.mark.skipif(not shutil.which("grpcurl"), reason="no grpcurl here")
async def test_the_commands_of_the_page_are_answered(stack: Stack) -> None:
    page = (ROOT / "docs/grpc.md").read_text()
    (commands,) = re.findall(r"^```sh\n(grpcurl .*?)^```", page, re.MULTILINE | re.DOTALL)
    script = commands.replace("127.0.0.1:8000", stack.gateway.removeprefix("http://"))
    said = await output_of("sh", "-ec", f"CONNECTRA_API_KEY={stack.api_key}\n{script}")
    assert "connectra.jobs.v1.JobsService\n" in said
    assert "rpc ListContacts" in said


@pytest.mark.skipif(not (shutil.which("newman") and shutil.which("openapi2postmanv2")), reason="no newman here")
async def test_postman_collection_made_of_the_document_runs(stack: Stack, tmp_path: Path) -> None:
    async with client(stack.gateway) as http:
        document = tmp_path / "openapi.json"
        document.write_text((await http.get("/openapi.json")).text)
    collection, report = tmp_path / "collection.json", tmp_path / "report.json"
    options = "parametersResolution=Example,enableOptionalParameters=false"
    await output_of("openapi2postmanv2", "-s", str(document), "-o", str(collection), "-O", options)
    await output_of(
        "newman", "run", str(collection), "--env-var", f"baseUrl={stack.gateway}", "--env-var", f"apiKey={stack.api_key}",
        "--reporters", "json", "--reporter-json-export", str(report), "--timeout-request", "20000",
    )  # fmt: skip
    executions = json.loads(report.read_text())["run"]["executions"]
    statuses = [(run["response"]["code"], run["item"]["name"]) for run in executions]
    operations = sum(len(verbs) for verbs in json.loads(document.read_text())["paths"].values())
    assert len(statuses) == operations
    # Calls that need an existing record are refused; all others succeed.
    assert {code for code, _ in statuses} <= {200, 201, 400, 404, 409}
    assert len([code for code, _ in statuses if code < 300]) > operations / 2


async def test_grpc_web_call_needs_nothing_but_the_key(stack: Stack) -> None:
    message = query_service_pb2.CountCompaniesRequest().SerializeToString()
    async with client(stack.gateway, stack.api_key) as http:
        reply = await http.post(
            "/connectra.query.v1.QueryService/CountCompanies",
            content=b"\0" + struct.pack(">I", len(message)) + message,
            headers={"content-type": "application/grpc-web+proto"},
        )
    (length,) = struct.unpack(">I", reply.content[1:5])
    counted = query_service_pb2.CountCompaniesResponse.FromString(reply.content[5 : 5 + length])
    assert counted.count >= 0
    assert b"grpc-status:0" in reply.content
