"""The ports of all parts, and who holds one that is taken."""

import random
import socket
from collections.abc import Iterable, Mapping

import psutil

from connectra_local.home import LocalError

DEFAULT_PORTS: dict[str, int] = {
    "gateway": 8000,
    "gateway_admin": 9901,
    "gateway_metrics": 9150,
    "query": 50051,
    "write": 50052,
    "jobs": 50053,
    "indexer": 50054,
    "first_time": 50055,
    "retry": 50056,
    "write_internal": 50057,
    "postgres": 54320,
    "elasticsearch": 9200,
    "s3": 9000,
    # The inner servers of the S3 part. One without a port here would silently use another when its own is taken.
    "s3_grpc": 9010,
    "s3_master": 9011,
    "s3_master_grpc": 9012,
    "s3_filer": 9013,
    "s3_filer_grpc": 9014,
    "s3_volume": 9015,
    "s3_volume_grpc": 9016,
    "s3_admin": 9017,
    "s3_admin_grpc": 9018,
    "query_metrics": 9151,
    "write_metrics": 9152,
    "jobs_metrics": 9153,
    "indexer_metrics": 9154,
    "first_time_metrics": 9155,
    "retry_metrics": 9156,
}

# Below the range of ephemeral ports, so that the port of a part is still free when it restarts.
FREE_PORT_RANGE = range(20_000, 32_000)


def variable(name: str) -> str:
    """The environment variable that sets the port called `name`."""
    return f"CONNECTRA_PORT_{name.upper()}"


def configured_ports(env: Mapping[str, str]) -> dict[str, int]:
    """Every port, by name: `CONNECTRA_PORT_<NAME>` or the default.

    Raises:
        LocalError: a variable is not a port number, or two names have the same port.
    """
    ports: dict[str, int] = {}
    for name, default in DEFAULT_PORTS.items():
        text = env.get(variable(name)) or str(default)
        if not text.isdecimal() or not 0 < int(text) < 65536:
            raise LocalError(f"{variable(name)}={text} is not a port number (1 to 65535)")
        twin = next((other for other, port in ports.items() if port == int(text)), None)
        if twin:
            raise LocalError(f"{variable(name)} and {variable(twin)} are both {text}: change one of them")
        ports[name] = int(text)
    return ports


def free_ports() -> dict[str, int]:
    """A free port for every name."""
    candidates = random.sample(FREE_PORT_RANGE, len(FREE_PORT_RANGE))
    free = (port for port in candidates if is_free(port))
    return {name: next(free) for name in DEFAULT_PORTS}


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: connections in TIME_WAIT do not occupy a port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def require_free(names: Iterable[str], ports: Mapping[str, int]) -> None:
    """Check that these ports are free.

    Raises:
        LocalError: names every taken port, its part, its holder, and the variable that changes it.
    """
    taken = [name for name in names if not is_free(ports[name])]
    if taken:
        lines = [
            f"{name}: port {ports[name]} is taken by {holder(ports[name])}: stop that, or set {variable(name)}"
            for name in taken
        ]
        raise LocalError("\n".join([*lines, "(`connectra up --free-ports` uses free ports for everything)"]))


def holder(port: int) -> str:
    """Who listens on a port, as far as this user may see it."""
    try:
        listening = (c for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN)
        pid = next((c.pid for c in listening if c.pid and c.laddr and c.laddr.port == port), None)
        if pid:
            return f"{psutil.Process(pid).name()} (pid {pid})"
    except psutil.Error:
        pass
    return "another program (probably of another user)"
