"""What the processes of the write service need to start."""

from pathlib import Path

import pytest
from connectra_write import main as write
from connectra_write.indexer import main

from tests.support.environment import cleared


def test_an_indexer_does_not_start_with_fewer_connections_than_its_loops_need(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cleared(monkeypatch, tmp_path)
    for name, value in {"PG_DB_USERNAME": "app", "PG_DB_PASSWORD": "secret", "PG_POOL_SIZE": "4"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit, match="PG_POOL_SIZE: an indexer needs at least 8 connections"):
        main.main()


def test_the_write_service_needs_a_connection_for_each_kind_of_work(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cleared(monkeypatch, tmp_path)
    for name, value in {"PG_DB_USERNAME": "app", "PG_DB_PASSWORD": "secret", "PG_POOL_SIZE": "4"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit, match="PG_POOL_SIZE: the write service needs at least 5 connections"):
        write.main()
