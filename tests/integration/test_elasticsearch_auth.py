"""ELASTICSEARCH_AUTH against a real node that requires a user name and password, by Envoy's basic_auth filter in front of it."""

import base64
import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from connectra_common.errors import from_exception
from connectra_common.search.client import create_client
from connectra_common.settings import ElasticsearchSettings
from connectra_gateway.render import envoy_binary
from connectra_ops.doctor.cli import examine
from connectra_ops.doctor.finding import Level
from elasticsearch import AuthenticationException

from tests.support.http import client
from tests.support.ports import free_port
from tests.support.stack import Stack
from tests.support.wait import until

TYPES = "type.googleapis.com/envoy.extensions"


def configuration(port: int, node: str, user: str, password: str) -> dict[str, Any]:
    digest = base64.b64encode(hashlib.sha1(password.encode(), usedforsecurity=False).digest()).decode()
    filters = [
        {
            "name": "basic_auth",
            "typed_config": {
                "@type": f"{TYPES}.filters.http.basic_auth.v3.BasicAuth",
                "users": {"inline_string": f"{user}:{{SHA}}{digest}\n"},
            },
        },
        {"name": "router", "typed_config": {"@type": f"{TYPES}.filters.http.router.v3.Router"}},
    ]
    hosts = [{"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "node"}}]}]
    manager = {
        "@type": f"{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "auth",
        "route_config": {"virtual_hosts": hosts},
        "http_filters": filters,
    }

    def address(host: str, number: int) -> dict[str, Any]:
        return {"address": {"socket_address": {"address": host, "port_value": number}}}

    there = urlsplit(node)
    endpoint = {"endpoint": address(there.hostname or "", there.port or 0)}
    return {
        "static_resources": {
            "listeners": [
                {
                    **address("127.0.0.1", port),
                    "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
                }
            ],
            "clusters": [
                {
                    "name": "node",
                    "load_assignment": {"cluster_name": "node", "endpoints": [{"lb_endpoints": [endpoint]}]},
                }
            ],
        }
    }


@pytest.fixture(scope="module")
def locked(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A port of the stack's node that admits only the user `reader` with the password `of the test`."""
    port = free_port()
    file: Path = tmp_path_factory.mktemp("auth") / "envoy.json"
    file.write_text(json.dumps(configuration(port, stack.elasticsearch, "reader", "of the test")))
    envoy = subprocess.Popen([envoy_binary(None), "--config-path", str(file), "--use-dynamic-base-id"])
    try:
        yield port
    finally:
        envoy.terminate()
        envoy.wait(30)


async def answers(port: int) -> None:
    async with client(f"http://127.0.0.1:{port}") as http:
        reply = await until(lambda: http.get("/"), lambda reply: True, seconds=30, away=(httpx.TransportError,))
    assert reply.status_code == 401


async def test_name_and_password_open_the_node_and_others_do_not(locked: int) -> None:
    await answers(locked)
    for auth, password, opens in ((True, "of the test", True), (True, "guessed", False), (False, "of the test", False)):
        settings = ElasticsearchSettings(
            host="127.0.0.1", port=locked, auth=auth, username="reader", password=password, _env_file=None
        )
        async with create_client(settings) as node:
            if opens:
                assert (await node.info())["tagline"]
                continue
            with pytest.raises(AuthenticationException) as refused:
                await node.info()
            error = from_exception(refused.value)
            assert (error.http_status, error.message) == (503, "the search engine refuses this service's credentials")


async def test_the_doctor_says_which_setting_to_correct(
    stack: Stack, locked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    await answers(locked)
    settings = {"CONNECTION": f"http://127.0.0.1:{locked}", "AUTH": "true", "USERNAME": "reader", "PASSWORD": "guessed"}
    for name, value in settings.items():
        monkeypatch.setenv(f"ELASTICSEARCH_{name}", value)
    found = {finding.check: finding for finding in await examine()}["elasticsearch"]
    assert found.level is Level.FAIL
    assert "refuses this service's credentials" in found.message
    assert "ELASTICSEARCH_*" in found.advice
