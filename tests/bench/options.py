"""What a part of the bench is given."""

import asyncio
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from connectra_local.sample import sample_csv


@dataclass(frozen=True)
class Options:
    """`requests`: how many of each kind at one connection; four times as many at sixteen."""

    rows: int
    requests: int


@dataclass(frozen=True)
class Target:
    """The running stack that is measured."""

    gateway: str
    api_key: str
    postgres: str
    elasticsearch: str
    environment: dict[str, str]

    async def load_sample(self, rows: int) -> None:
        """Imports made-up contacts and waits for the job."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "sample.csv"
            file.write_bytes(b"".join(sample_csv(rows)))
            command = [str(Path(sys.executable).parent / "connectra"), "import", str(file)]
            process = await asyncio.create_subprocess_exec(*command, env=self.environment)
            if await process.wait() != 0:
                raise RuntimeError("the sample could not be imported")
