"""The vendored Swagger UI is the official one."""

import runpy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import ROOT

SCRIPT: dict[str, Any] = runpy.run_path(str(ROOT / "gateway/swagger_ui.py"))
FOLDER: Path = SCRIPT["FOLDER"]
problems: Callable[..., list[str]] = SCRIPT["problems"]


def test_the_vendored_files_are_those_that_were_taken_from_the_package() -> None:
    assert problems() == []


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda folder: (folder / "swagger-ui.css").write_text("body {}"), "swagger-ui.css differs"),
        (lambda folder: (folder / "LICENSE").unlink(), "LICENSE is missing"),
        (lambda folder: (folder / "more.js").write_text(""), "more.js is not in the lock"),
    ],
)
def test_a_file_that_was_changed_removed_or_added_is_found(
    tmp_path: Path, change: Callable[[Path], object], found: str
) -> None:
    folder = shutil.copytree(FOLDER, tmp_path / "copy")
    change(folder)
    assert problems(folder) == [found]
