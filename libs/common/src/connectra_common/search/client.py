"""The Elasticsearch client every process uses."""

from typing import Any

import structlog
from elastic_transport import AiohttpHttpNode
from elasticsearch import AsyncElasticsearch, OrjsonSerializer
from prometheus_client import Counter, Histogram

from connectra_common.settings import ElasticsearchSettings

log = structlog.get_logger()

REQUESTS = Counter(
    "connectra_elasticsearch_requests_total", "Requests, by HTTP status, or `error` without one.", ["status"]
)
SECONDS = Histogram(
    "connectra_elasticsearch_request_seconds",
    "Time a request took.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)


class _Node(AiohttpHttpNode):
    """The usual node, with metrics."""

    async def perform_request(self, *arguments: Any, **options: Any) -> Any:  # type: ignore[override]
        status = "error"
        try:
            with SECONDS.time():
                answer = await super().perform_request(*arguments, **options)
            status = str(answer.meta.status)
            return answer
        finally:
            REQUESTS.labels(status).inc()


class _NodeWithValues(_Node):
    """One that logs what requests carry, in addition to the client's own lines."""

    async def perform_request(self, method: str, target: str, body: bytes | None = None, **options: Any) -> Any:  # type: ignore[override]
        log.info("elasticsearch", method=method, target=target, body=(body or b"").decode())
        return await super().perform_request(method, target, body, **options)


def create_client(settings: ElasticsearchSettings, connections: int = 32) -> AsyncElasticsearch:
    """A client with one pool of at most so many connections; the caller closes it.

    It never retries: each caller knows what is safe to repeat.
    """
    options: dict[str, Any] = {}
    if settings.auth and settings.username and settings.password:
        options["basic_auth"] = (settings.username, settings.password.get_secret_value())
    if settings.ssl_ca_file:
        options["ca_certs"] = str(settings.ssl_ca_file)
    return AsyncElasticsearch(
        settings.url,
        node_class=_NodeWithValues if settings.debug == "values" else _Node,
        serializer=OrjsonSerializer(),
        request_timeout=settings.timeout_seconds,
        connections_per_node=connections,
        max_retries=0,
        retry_on_timeout=False,
        # A node that was down is tried again at once: with one address there is no other.
        dead_node_backoff_factor=0,
        max_dead_node_backoff=0,
        **options,
    )
