"""Prometheus metrics of every process, in addition to those of its calls (`server.interceptors`) and of the client libraries.

Counters and histograms are per process: sum them. A gauge that is read from the database is the same in every process that exports
it: take the maximum.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Pool:
    """What is measured of a pool whenever the metrics are read."""

    idle: Callable[[], float]
    used: Callable[[], float]
    waiting: Callable[[], float]
    most: int


_pools: dict[str, list[Pool]] = {}


@contextmanager
def watched(name: str, pool: Pool) -> Iterator[None]:
    """Measures a pool until the block ends. Pools of one name are measured together: services that share a process have some each."""
    if name not in _pools:
        pools = _pools[name] = []
        CONNECTIONS.labels(name, "idle").set_function(lambda: sum(one.idle() for one in pools))
        CONNECTIONS.labels(name, "used").set_function(lambda: sum(one.used() for one in pools))
        CONNECTIONS_WAITED_FOR.labels(name).set_function(lambda: sum(one.waiting() for one in pools))
        CONNECTIONS_MAX.labels(name).set_function(lambda: sum(one.most for one in pools))
    _pools[name].append(pool)
    try:
        yield
    finally:
        _pools[name].remove(pool)


def serve(address: str) -> None:
    """Serves the metrics at `host:port`, in a separate thread."""
    host, _, port = address.rpartition(":")
    start_http_server(int(port), host.strip("[]"))
