"""Ports of the local stack: configured, free, or taken."""

import os
import socket

import pytest
from connectra_local.home import LocalError
from connectra_local.ports import DEFAULT_PORTS, configured_ports, free_ports, require_free


def test_a_taken_port_is_named_with_part_holder_and_variable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(LocalError) as error:
            require_free(["s3_filer"], {"s3_filer": port})
    message = str(error.value)
    assert f"s3_filer: port {port} is taken by " in message
    assert f"(pid {os.getpid()})" in message
    assert "CONNECTRA_PORT_S3_FILER" in message


def test_every_port_has_a_variable_of_its_own() -> None:
    ports = configured_ports({"CONNECTRA_PORT_GATEWAY": "8123", "CONNECTRA_PORT_QUERY_METRICS": "9444"})
    assert ports == {**DEFAULT_PORTS, "gateway": 8123, "query_metrics": 9444}


@pytest.mark.parametrize("text", ["abc", "0", "70000", "-1"])
def test_what_is_no_port_number_is_refused_by_the_name_of_its_variable(text: str) -> None:
    with pytest.raises(LocalError, match="CONNECTRA_PORT_WRITE"):
        configured_ports({"CONNECTRA_PORT_WRITE": text})


def test_two_parts_on_one_port_are_refused() -> None:
    with pytest.raises(LocalError, match="CONNECTRA_PORT_WRITE and CONNECTRA_PORT_QUERY are both 50051"):
        configured_ports({"CONNECTRA_PORT_WRITE": "50051"})


def test_free_ports_are_all_different() -> None:
    ports = free_ports()
    assert ports.keys() == DEFAULT_PORTS.keys()
    assert len(set(ports.values())) == len(ports)
