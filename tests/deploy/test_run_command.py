"""What the image `connectra/single` runs by RUN_COMMAND."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.stack import program

# A setting of each process that no other one reads; all of them are wrong.
OWN = {
    "api-server": "MAX_REQUESTS_PER_MINUTE",
    "jobs first_time": "PARALLEL_JOBS",
    "jobs retry": "PARALLEL_JOBS",
    "indexer": "INDEX_CHECK_RECORDS_PER_SECOND",
    "migrate": "PG_ROLE_PREFIX",
}
WRONG = dict.fromkeys(OWN.values(), "-1")


def run(folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], **WRONG, **settings}
    command = [program("connectra-single")]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("command", OWN)
def test_a_container_becomes_the_process_that_is_named(tmp_path: Path, command: str) -> None:
    done = run(tmp_path, RUN_COMMAND=command)

    named = set(re.findall(r"^settings: (\w+):", done.stderr, re.MULTILINE))
    assert (done.returncode, named & set(OWN.values())) == (1, {OWN[command]})


def test_without_a_name_it_is_the_whole_api_and_an_unknown_one_is_refused_with_those_there_are(tmp_path: Path) -> None:
    assert f"settings: {OWN['api-server']}:" in run(tmp_path).stderr

    refused = run(tmp_path, RUN_COMMAND="serve")
    assert refused.returncode == 1
    assert refused.stderr.startswith("settings: RUN_COMMAND: Input should be 'api-server', 'jobs first_time'")
