"""What the dashboard and the alerts ask for is what the running processes export."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import promql_parser
import psutil
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from .test_slice import eventually

FOLDER = Path(__file__).parents[2] / "deploy/observability"
SAMPLE, LABEL = re.compile(r"(\w+)(?:{(.*)})? "), re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
# Of Prometheus, not of the process: labels that it adds to what it reads.
TARGET = {"job", "instance"}
# Samples that are there only once something has gone wrong.
RARE = {"connectra_elasticsearch_rejected_items_total"}


def sources(stack: Any) -> dict[str, str]:
    """Where each process serves its metrics."""
    found = {}
    for name, part in stack.parts().items():
        environment = psutil.Process(part["pid"]).environ()
        if name == "gateway":
            found[name] = f"http://{environment['GATEWAY_METRICS_LISTEN']}/stats/prometheus"
        elif "METRICS_LISTEN" in environment:
            found[name] = f"http://{environment['METRICS_LISTEN']}/metrics"
    return found


async def scrape(stack: Any) -> dict[str, list[dict[str, str]]]:
    """Labels of all samples of all processes, by name; none for a metric that is declared and has no sample yet."""
    samples: dict[str, list[dict[str, str]]] = {}
    # Not by prometheus_client's parser, which renames the counters of others.
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        answers = await asyncio.gather(*(client.get(url) for url in sources(stack).values()))
    for answer in answers:
        for line in answer.text.splitlines():
            if line.startswith("# TYPE "):
                samples.setdefault(line.split()[2], [])
            elif found := SAMPLE.match(line):
                samples.setdefault(found[1], []).append(dict(LABEL.findall(found[2] or "")))
    return samples


def selectors(expression: str) -> list[tuple[str, set[str]]]:
    """Metrics that an expression asks for, each with the labels it is picked by."""
    found: list[tuple[str, set[str]]] = []

    def visit(node: Any) -> None:
        node = getattr(node, "vector_selector", node)
        if isinstance(node, promql_parser.VectorSelector):
            found.append((node.name, {matcher.name for matcher in node.matchers.matchers}))

    promql_parser.walk(promql_parser.parse(expression), visit)
    return found


def asked() -> list[tuple[str, set[str]]]:
    """All that dashboard and alerts ask for."""
    panels = json.loads((FOLDER / "dashboard.json").read_text())["panels"]
    expressions = [
        target["expr"].replace("$__rate_interval", "1m") for panel in panels for target in panel.get("targets", ())
    ]
    groups = yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"]
    expressions += [rule["expr"] for group in groups for rule in group["rules"]]
    return [selector for expression in expressions for selector in selectors(expression)]


async def run_jobs(api: httpx.AsyncClient, finished: Callable[..., Awaitable[dict[str, Any]]]) -> None:
    """An import and an export, so that there is something to count."""
    data = f"email\nann@{uuid4().hex}.example\n".encode()
    upload = (await api.get("/common/upload-url", params={"filename": "metrics.csv"})).json()
    async with httpx.AsyncClient(trust_env=False) as store:
        (await store.put(upload["upload_url"], content=data)).raise_for_status()
    vql = {"select_columns": ["email"], "where": {"keyword_match": {"must": {"city": ["nowhere"]}}}}
    for job in (
        {"job_type": "insert_csv_file", "job_data": {"s3_key": upload["s3_key"]}},
        {"job_type": "export_csv_file", "job_data": {"service": "contact", "vql": vql}},
    ):
        created = (await api.post("/common/jobs/create", json=job)).json()
        assert (await finished(created["data"]["uuid"]))["status"] == "completed"


async def test_all_that_dashboard_and_alerts_ask_for_is_exported(
    stack: Any, api: httpx.AsyncClient, finished: Callable[..., Awaitable[dict[str, Any]]]
) -> None:
    await run_jobs(api, finished)
    assert (await api.post("/contacts", json={"limit": 1})).status_code == 200
    exported = await scrape(stack)
    wanted = asked()
    assert len(wanted) > 40
    assert {name for name, _ in wanted} - exported.keys() == set()
    for name, labels in wanted:
        if name not in RARE:
            assert any(labels - TARGET <= sample.keys() for sample in exported[name]), (name, labels)


async def test_calls_are_counted_by_method_and_by_the_code_they_end_with(stack: Any, api: httpx.AsyncClient) -> None:
    async def handled() -> dict[str, float]:
        async with httpx.AsyncClient(trust_env=False) as client:
            text = (await client.get(sources(stack)["query"])).text
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

    await eventually(counted)


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/stats"), ("POST", "/quitquitquit"), ("POST", "/stats/prometheus")]
)
async def test_the_gateways_metrics_door_opens_nothing_else(stack: Any, method: str, path: str) -> None:
    door = sources(stack)["gateway"].removesuffix("/stats/prometheus")
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.request(method, door + path)).status_code == 404
        assert (await client.get(door + "/stats/prometheus")).status_code == 200
