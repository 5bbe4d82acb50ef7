"""What a part of the bench is given."""

import asyncio
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
from connectra_local.sample import sample_csv


@dataclass(frozen=True)
class Options:
    """`rows`: generated contacts. `requests`: of each kind at one connection, four times as many at sixteen. `seconds`: for each kind of
    write. `wide`: bytes by which the rows of an imported file are longer."""

    rows: int
    requests: int
    seconds: float
    wide: int


@dataclass(frozen=True)
class Target:
    """The running stack that is measured; all but `environment` as `connectra status --json` has it."""

    gateway: str
    api_key: str
    postgres: str
    elasticsearch: str
    s3: dict[str, str]
    grpc: dict[str, str]
    parts: list[dict[str, Any]]
    environment: dict[str, str]

    async def load(self, rows: int) -> None:
        """Imports made-up contacts, unless there are that many, and waits until search sees all there are."""
        connection = await asyncpg.connect(self.postgres)
        try:
            if await connection.fetchval("SELECT count(*) FROM contacts") < rows * 0.9:
                await self._import_sample(rows)
            async with asyncio.timeout(600):
                while await connection.fetchval("SELECT EXISTS (SELECT FROM outbox)"):  # noqa: ASYNC110 - another process empties it
                    await asyncio.sleep(0.2)
            await connection.execute("VACUUM ANALYZE contacts")
            await connection.execute("VACUUM ANALYZE companies")
        finally:
            await connection.close()

    async def _import_sample(self, rows: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "sample.csv"
            file.write_bytes(b"".join(sample_csv(rows)))
            command = [str(Path(sys.executable).parent / "connectra"), "import", str(file)]
            process = await asyncio.create_subprocess_exec(*command, env=self.environment)
            if await process.wait() != 0:
                raise RuntimeError("the sample could not be imported")
