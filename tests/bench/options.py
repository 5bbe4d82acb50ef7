"""What a part of the bench is given, and the contacts that most of them need."""

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from connectra_local.sample import sample_csv

from tests.support.postgres import drained
from tests.support.stack import Stack, program


@dataclass(frozen=True)
class Options:
    """How much is measured.

    Args:
        rows: generated contacts.
        requests: of each kind at one connection; four times as many at sixteen.
        seconds: for each kind of write.
        wide: bytes by which the rows of an imported file are longer.
    """

    rows: int
    requests: int
    seconds: float
    wide: int


async def load(target: Stack, rows: int) -> None:
    """Imports made-up contacts, unless about this many are stored, and waits until search sees all there are."""
    connection = await asyncpg.connect(target.postgres)
    try:
        if await connection.fetchval("SELECT count(*) FROM contacts") < rows * 0.9:
            await _import_sample(target, rows)
        await drained(connection, seconds=600, pause=0.2)
        await connection.execute("VACUUM ANALYZE contacts")
        await connection.execute("VACUUM ANALYZE companies")
    finally:
        await connection.close()


async def _import_sample(target: Stack, rows: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "sample.csv"
        file.write_bytes(b"".join(sample_csv(rows)))
        process = await asyncio.create_subprocess_exec(
            program("connectra"), "import", str(file), env=target.environment
        )
        if await process.wait() != 0:
            raise RuntimeError("the sample could not be imported")
