"""What the processes of the jobs service refuse to start with."""

from pathlib import Path

import pytest
from connectra_jobs.cli import runner_settings

from tests.support.environment import cleared


def test_a_runner_needs_a_connection_besides_the_one_that_listens(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cleared(monkeypatch, tmp_path)
    for name in ("PG_DB_USERNAME", "PG_DB_PASSWORD", "S3_ACCESS_KEY", "S3_SECRET_KEY", "S3_BUCKET"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("PG_POOL_SIZE", "2")
    with pytest.raises(SystemExit, match="PG_POOL_SIZE: a runner needs at least 3"):
        runner_settings()
    monkeypatch.setenv("PG_POOL_SIZE", "3")
    assert runner_settings().postgres.pool_size == 3
