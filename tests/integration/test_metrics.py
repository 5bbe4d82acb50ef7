"""The running processes export what the dashboard and the alerts query."""

import asyncio
import re
from typing import Any
from uuid import uuid4

import httpx
import promql_parser
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.http import client
from tests.support.jobs import export, import_file
from tests.support.observability import expressions, metrics_urls
from tests.support.queries import keyword_query
from tests.support.stack import Stack
from tests.support.wait import until
from tests.support.words import word

SAMPLE, LABEL = re.compile(r"(\w+)(?:{(.*)})? "), re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
# Labels that Prometheus itself adds to what it scrapes.
TARGET = {"job", "instance"}
# Samples that exist only once something has gone wrong.
RARE = {"connectra_elasticsearch_rejected_items_total"}
# Metrics of Kubernetes, and of TLS, which this stack does without.
ELSEWHERE = {
    "kube_pod_container_status_last_terminated_reason",
    "kube_pod_container_status_restarts_total",
    "envoy_cluster_ssl_certificate_expiration_unix_time_seconds",
    "envoy_listener_ssl_certificate_expiration_unix_time_seconds",
}


async def scrape(stack: Stack) -> dict[str, list[dict[str, str]]]:
    """Labels of all samples of all processes, by name; none for a metric that is declared and has no sample yet."""
    samples: dict[str, list[dict[str, str]]] = {}
    # Not with prometheus_client's parser, which renames counters of other libraries.
    async with client() as http:
        answers = await asyncio.gather(*(http.get(url) for url in metrics_urls(stack).values()))
    for answer in answers:
        for line in answer.text.splitlines():
            if line.startswith("# TYPE "):
                samples.setdefault(line.split()[2], [])
            elif found := SAMPLE.match(line):
                samples.setdefault(found[1], []).append(dict(LABEL.findall(found[2] or "")))
    return samples


def selectors(expression: str) -> list[tuple[str, set[str]]]:
    """The metrics in an expression, each with the labels it is selected by."""
    found: list[tuple[str, set[str]]] = []

    def visit(node: Any) -> None:
        node = getattr(node, "vector_selector", node)
        if isinstance(node, promql_parser.VectorSelector):
            found.append((node.name or "", {matcher.name for matcher in node.matchers.matchers}))

    promql_parser.walk(promql_parser.parse(expression), visit)
    return found


def asked() -> list[tuple[str, set[str]]]:
    """All that dashboard and alerts query."""
    return [selector for expression in expressions() for selector in selectors(expression)]


async def run_jobs(api: httpx.AsyncClient) -> None:
    """An import and an export, so that there is something to count."""
    vql = {**keyword_query(city=["nowhere"]), "select_columns": ["email"]}
    imported = await import_file(api, f"email\nann@{word()}.example\n".encode())
    assert [imported["status"], (await export(api, "contact", vql))["status"]] == ["completed"] * 2


async def test_all_that_dashboard_and_alerts_ask_for_is_exported(stack: Stack, api: httpx.AsyncClient) -> None:
    await run_jobs(api)
    assert (await api.post("/contacts", json={"limit": 1})).status_code == 200
    exported = await scrape(stack)
    wanted = [(name, labels) for name, labels in asked() if name not in ELSEWHERE]
    assert len(wanted) > 40
    assert {name for name, _ in wanted} - exported.keys() == set()
    for name, labels in wanted:
        if name not in RARE:
            assert any(labels - TARGET <= sample.keys() for sample in exported[name]), (name, labels)


async def test_calls_are_counted_by_method_and_by_the_code_they_end_with(stack: Stack, api: httpx.AsyncClient) -> None:
    async def handled() -> dict[str, float]:
        async with client() as http:
            text = (await http.get(metrics_urls(stack)["query"])).text
        return {
            sample.labels["grpc_code"]: sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == "grpc_server_handled_total" and sample.labels["grpc_method"] == "GetContact"
        }

    before = await handled()
    assert (await api.get(f"/contacts/{uuid4()}")).status_code == 404
    assert (await api.get("/contacts/no-uuid")).status_code == 400

    async def counted() -> bool:
        now = await handled()
        return all(now.get(code, 0) > before.get(code, 0) for code in ("NotFound", "InvalidArgument"))

    await until(counted)


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/stats"), ("POST", "/quitquitquit"), ("POST", "/stats/prometheus")]
)
async def test_the_gateways_metrics_door_opens_nothing_else(stack: Stack, method: str, path: str) -> None:
    door = metrics_urls(stack)["gateway"].removesuffix("/stats/prometheus")
    async with client() as http:
        assert (await http.request(method, door + path)).status_code == 404
        assert (await http.get(door + "/stats/prometheus")).status_code == 200
