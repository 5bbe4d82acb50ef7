"""`make lint` compares the contracts with those of the last release."""

import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

from tests.support.paths import ROOT


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A copy of the contracts that a test may change."""
    shutil.copyfile(ROOT / "buf.yaml", tmp_path / "buf.yaml")
    shutil.copytree(ROOT / "proto", tmp_path / "proto")
    imported = tmp_path / ".connectra/proto-deps/google/api"
    imported.mkdir(parents=True)
    for name in ("annotations.proto", "http.proto", "httpbody.proto"):
        shutil.copyfile(str(files("google.api") / name), imported / name)
    return tmp_path


@pytest.mark.parametrize(
    ("old", "new", "refused"),
    [
        ("", "", None),
        ("  int32 limit = 5;", "  int32 limit = 5;\n  bool one_more_field = 999;", None),
        ("  int32 limit = 5;", "  int32 most = 5;", "limit"),
        ("  int32 limit = 5;", "  string limit = 5;", "limit"),
    ],
)
def test_only_what_old_callers_do_not_understand_is_refused(
    workspace: Path, old: str, new: str, refused: str | None
) -> None:
    file = workspace / "proto/connectra/common/v1/vql.proto"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new, 1))

    command = [str(ROOT / ".venv/bin/buf"), "breaking", "proto", "--against", str(ROOT / "proto/released.binpb")]
    done = subprocess.run(command, cwd=workspace, capture_output=True, text=True, check=False)

    if refused is None:
        assert (done.returncode, done.stdout) == (0, "")
    else:
        assert f'"{refused}"' in done.stdout
