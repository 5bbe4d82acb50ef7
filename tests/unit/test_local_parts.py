"""The table of parts: names and order."""

from dataclasses import replace
from pathlib import Path

import pytest
from connectra_local.config import Config
from connectra_local.home import Home, LocalError
from connectra_local.parts import NAMES, addresses, build_parts, layers
from connectra_local.ports import DEFAULT_PORTS

from tests.support.environment import cleared


@pytest.fixture
def config(tmp_path: Path) -> Config:
    # External servers, so that nothing is looked up on this machine.
    env = {"PG_DB_HOST": "db", "ELASTICSEARCH_HOST": "es", "S3_ENDPOINT": "s3:9000"}
    return Config(Home(tmp_path, tmp_path / "downloads"), env, dict(DEFAULT_PORTS))


def test_stores_come_first_then_tables_then_services_then_workers_and_gateway(config: Config) -> None:
    order = [[part.name for part in layer] for layer in layers(build_parts(config))]
    assert order == [
        ["postgres", "elasticsearch", "s3"],
        ["migrate"],
        ["query", "write", "indexer", "jobs"],
        ["first_time", "retry", "gateway"],
    ]


def test_one_process_in_the_place_of_three_services_and_the_gateway(config: Config) -> None:
    single = replace(config, single=True)
    order = [[part.name for part in layer] for layer in layers(build_parts(single))]
    assert order == [
        ["postgres", "elasticsearch", "s3"],
        ["migrate"],
        ["indexer", "api"],
        ["first_time", "retry"],
    ]


def test_its_services_are_all_at_one_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cleared(monkeypatch, tmp_path).setenv("CONNECTRA_ENV_FILE", "")
    config = Config.load(Home(tmp_path, tmp_path / "downloads"), use_free_ports=True, single=True)
    environment = config.service_environment("first_time")
    names = ("QUERY_ADDRESS", "WRITE_ADDRESS", "JOBS_ADDRESS")
    (api,) = [part for part in build_parts(config, "api") if part.name == "api"]
    assert {environment[name] for name in names} == {api.env["GRPC_LISTEN"]}
    assert environment["WRITE_INTERNAL_ADDRESS"] == api.env["GRPC_INTERNAL_LISTEN"]
    claimed = [config.ports[name] for part in build_parts(config) for name in part.ports]
    assert len(claimed) == len(set(claimed))


def test_some_parts_alone(config: Config) -> None:
    assert [part.name for part in build_parts(config, "gateway, s3")] == ["s3", "gateway"]


def test_an_unknown_part_is_named(config: Config) -> None:
    with pytest.raises(LocalError, match="there is no part mysql"):
        build_parts(config, "s3,mysql")


def test_every_shown_part_has_an_address(config: Config) -> None:
    assert tuple(addresses(config)) == NAMES
    assert {part.name: part.address for part in build_parts(config) if not part.once} == addresses(config)


def test_an_external_server_is_not_started(config: Config) -> None:
    external = {part.name for part in build_parts(config) if part.command is None}
    assert external == {"postgres", "elasticsearch", "s3"}


def test_every_port_belongs_to_one_part(tmp_path: Path) -> None:
    config = Config(Home(tmp_path, tmp_path / "downloads"), {}, dict(DEFAULT_PORTS))
    claimed = [port for part in build_parts(config) for port in part.ports]
    assert sorted(claimed) == sorted(DEFAULT_PORTS)
