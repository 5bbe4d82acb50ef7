"""The Elasticsearch client every process uses."""

from typing import Any

from elasticsearch import AsyncElasticsearch

from connectra_common.settings import ElasticsearchSettings


def create_client(settings: ElasticsearchSettings) -> AsyncElasticsearch:
    """A client with one connection pool; the caller closes it. It never retries by itself: each caller knows what is safe to repeat."""
    options: dict[str, Any] = {}
    if settings.auth and settings.username and settings.password:
        options["basic_auth"] = (settings.username, settings.password.get_secret_value())
    if settings.ssl_ca_file:
        options["ca_certs"] = str(settings.ssl_ca_file)
    return AsyncElasticsearch(
        settings.url,
        request_timeout=settings.timeout_seconds,
        connections_per_node=32,
        max_retries=0,
        retry_on_timeout=False,
        # A node that was away is asked again at once: with one address there is no other to turn to.
        dead_node_backoff_factor=0,
        max_dead_node_backoff=0,
        **options,
    )
