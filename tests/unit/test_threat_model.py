"""Every line of the threat model names tests, and the tests are there."""

import re

from tests.support.paths import ROOT

TABLE = [line for line in (ROOT / "docs/threat-model.md").read_text().splitlines() if line.startswith("|")][2:]


def test_every_threat_names_tests_that_exist() -> None:
    files = list((ROOT / "tests").rglob("test_*.py"))
    known = {file.name for file in files}
    for file in files:
        known.update(re.findall(r"^(?:async )?def (test_\w+)", file.read_text(), re.MULTILINE))
    for line in TABLE:
        threat, _, tests, left = (cell.strip() for cell in line.strip("|").split("|"))
        named = re.findall(r"`(\w+(?:\.py)?)`", tests)
        assert named or (tests == "none" and left), threat
        assert set(named) <= known, threat
