"""The API server: how services are put together."""

from collections import Counter
from pathlib import Path

import pytest
from connectra_common.contracts import files
from connectra_common.server.bulkheads import REFLECTION, Bound, Bulkhead
from connectra_common.server.process import Process
from connectra_common.settings import load
from connectra_query.settings import Settings as QuerySettings
from connectra_single.main import LEAST, Shares, together
from connectra_single.settings import ApiServerSettings, Settings

from tests.support.environment import cleared

REQUIRED = {
    "PG_DB_USERNAME": "app",
    "PG_DB_PASSWORD": "secret",
    "S3_ACCESS_KEY": "a",
    "S3_SECRET_KEY": "s",
    "S3_BUCKET": "b",
}


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    cleared(monkeypatch, tmp_path)
    for name, value in REQUIRED.items():
        monkeypatch.setenv(name, value)
    return load(Settings)


@pytest.mark.parametrize("connections", [LEAST, LEAST + 1, 20, 100])
def test_the_services_have_all_connections_and_each_what_it_needs(connections: int) -> None:
    shares, least = Shares.of(connections), Shares.of(LEAST)
    assert shares.query + shares.write + shares.jobs == connections
    assert (shares.query, shares.write, shares.jobs) >= (least.query, least.write, least.jobs) == (4, 5, 2)


def test_a_service_has_the_settings_of_the_process_and_its_share(settings: Settings) -> None:
    own = settings.of(QuerySettings, 7)
    assert (own.postgres.pool_size, settings.postgres.pool_size) == (7, 20)
    assert (own.elasticsearch, own.s3, own.server) == (settings.elasticsearch, settings.s3, settings.server)


def test_only_the_gateway_is_reached_from_other_hosts(settings: Settings) -> None:
    assert settings.server.listen == settings.peers.query == settings.peers.jobs == "127.0.0.1:50051"
    assert settings.internal.listen == "127.0.0.1:50057"
    assert settings.gateway.listen == "0.0.0.0:8000"


@pytest.mark.parametrize(
    ("listen", "here"), [("0.0.0.0:1", "127.0.0.1:1"), ("[::]:1", "[::1]:1"), ("10.0.0.7:1", "10.0.0.7:1")]
)
def test_its_gateway_calls_it_where_it_listens(listen: str, here: str) -> None:
    assert ApiServerSettings(listen=listen, _env_file=None).here == here


def test_no_two_services_have_a_method_of_one_name() -> None:
    """Bulkheads go by the name of a method alone."""
    methods = {
        (file.package, method.name)
        for file in files()
        for service in file.services_by_name.values()
        for method in service.methods
    }
    assert [name for name, number in Counter(name for _, name in methods).items() if number > 1] == []


async def test_a_process_of_several_has_what_each_of_them_has() -> None:
    async def loop(_: object) -> None: ...

    async def check() -> None: ...

    bulkheads = {name: Bulkhead(name, Bound(1, 1)) for name in ("first", "second")}
    parts = [
        Process(
            services=[(object(), lambda *_: None, f"{name}.Service")],
            internal=[(object(), lambda *_: None, f"{name}.Internal")],
            checks={"postgres": check, name: check},
            bulkhead_of={f"Of{name}": bulkhead, REFLECTION: bulkhead}.get,
            background=[loop],
            housekeeping=[loop],
        )
        for name, bulkhead in bulkheads.items()
    ]
    made = together(parts, loop)
    assert made.names == ["first.Service", "second.Service", "first.Internal", "second.Internal"]
    assert made.checks.keys() == {"postgres", "first", "second"}
    assert [made.bulkhead_of(name) for name in ("Offirst", "Ofsecond", "None")] == [*bulkheads.values(), None]
    assert made.bulkhead_of(REFLECTION) is bulkheads["first"]
    assert (len(made.background), len(made.housekeeping), made.front) == (2, 2, loop)
    frozen = together(parts, loop, "lambda")
    assert (frozen.checks, len(frozen.background), frozen.housekeeping) == ({}, 2, [])
