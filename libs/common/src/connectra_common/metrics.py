"""Prometheus metrics of every process, in addition to those of its calls (`server.interceptors`) and of the client libraries.

Counters and histograms are per process: sum them. A gauge that is read from the database is the same in every process that exports
it: take the maximum.
"""

from collections.abc import Callable
from importlib.metadata import version

from prometheus_client import Gauge, Info, disable_created_metrics, start_http_server

# These would be a second series per counter and histogram, with a creation time that no dashboard uses.
disable_created_metrics()  # type: ignore[no-untyped-call]

# OpenTelemetry's names for connection pool metrics, in Prometheus spelling.
CONNECTIONS = Gauge("db_client_connection_count", "Open connections of a pool.", ["pool", "state"])
CONNECTIONS_MAX = Gauge("db_client_connection_max", "Connections that a pool may open.", ["pool"])
CONNECTIONS_WAITED_FOR = Gauge("db_client_connection_pending_requests", "Callers waiting for a connection.", ["pool"])
BUILD = Info("connectra_build", "What runs.")


def name_build(process: str) -> None:
    """Exports the program and release that this process runs."""
    BUILD.info({"process": process, "version": version("connectra-common")})


def watch_pool(
    pool: str, *, idle: Callable[[], float], used: Callable[[], float], waiting: Callable[[], float], most: int
) -> None:
    """Measures a pool whenever the metrics are read; only the last one registered under a name is measured."""
    CONNECTIONS.labels(pool, "idle").set_function(idle)
    CONNECTIONS.labels(pool, "used").set_function(used)
    CONNECTIONS_WAITED_FOR.labels(pool).set_function(waiting)
    CONNECTIONS_MAX.labels(pool).set(most)


def serve(address: str) -> None:
    """Serves the metrics at `host:port`, in a separate thread."""
    host, _, port = address.rpartition(":")
    start_http_server(int(port), host.strip("[]"))
