"""Ports for processes of a test's own."""

import random

from connectra_local.ports import FREE_PORT_RANGE, is_free


def free_ports(number: int) -> list[int]:
    """Different ports that nobody listens on, outside the range that the kernel hands out to outgoing connections."""
    free = (port for port in random.sample(FREE_PORT_RANGE, len(FREE_PORT_RANGE)) if is_free(port))
    return [next(free) for _ in range(number)]


def free_port() -> int:
    """One such port."""
    (port,) = free_ports(1)
    return port


def free_address() -> str:
    """host:port with such a port."""
    return f"127.0.0.1:{free_port()}"
