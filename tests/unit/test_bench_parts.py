"""The command line of the bench."""

import subprocess
import sys

from tests.support.paths import ROOT


def test_a_part_that_is_unknown_is_refused_with_the_names_of_all() -> None:
    command = [sys.executable, "-m", "tests.bench", "serach"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert (
        "no part is called serach; there are calls, filters, gateway, index, jobs, scale, search, suggest, write"
        in done.stderr
    )
