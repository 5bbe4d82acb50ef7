"""docs/grpc.md shows the programs that are type-checked and run by the tests."""

import re

from tests.support.paths import ROOT

PROGRAMS = {f"examples/grpc/{file.name}": file for file in (ROOT / "docs/examples/grpc").glob("*.py")}
SHOWN = dict(re.findall(r"^```python (\S+)\n(.*?)^```", (ROOT / "docs/grpc.md").read_text(), re.MULTILINE | re.DOTALL))


def test_the_page_shows_every_program_as_it_is() -> None:
    assert {name: file.read_text() for name, file in PROGRAMS.items()} == SHOWN
