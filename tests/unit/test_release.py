"""`make release`: one command turns what is unreleased into a version, everywhere."""

import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

from tests.support.paths import ROOT

LAST = (ROOT / "VERSION").read_text().strip()
CHANGELOG = """# Changelog

## [Unreleased]

### Fixed

- A page is no longer empty.

## [0.0.1] - 2026-01-02
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the files that a release changes."""
    for name in ("VERSION", "buf.yaml"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    for name in ("proto", "deploy/compose", "deploy/k8s"):
        shutil.copytree(ROOT / name, tmp_path / name)
    imported = tmp_path / ".connectra/proto-deps/google/api"
    imported.mkdir(parents=True)
    for name in ("annotations.proto", "http.proto", "httpbody.proto"):
        shutil.copyfile(str(files("google.api") / name), imported / name)
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    return tmp_path


def release(checkout: Path, version: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / ".ci/release.py"), version]
    return subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)


def test_version_tags_changelog_and_contracts_follow(checkout: Path) -> None:
    (checkout / "proto/released.binpb").unlink()

    assert release(checkout, "9.8.7").stderr == ""

    assert (checkout / "VERSION").read_text() == "9.8.7\n"
    deploy = "".join(file.read_text() for file in sorted((checkout / "deploy").rglob("*.yaml")))
    assert deploy.count("9.8.7") > 8
    assert f'newTag: "{LAST}"' not in deploy
    assert f"VERSION:-{LAST}" not in deploy
    changelog = (checkout / "CHANGELOG.md").read_text()
    assert "## [Unreleased]\n\n## [9.8.7] - 20" in changelog
    assert changelog.index("## [9.8.7]") < changelog.index("no longer empty") < changelog.index("## [0.0.1]")
    assert (checkout / "proto/released.binpb").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("version", "changelog", "reason"),
    [
        ("v1.2", CHANGELOG, "MAJOR.MINOR.PATCH"),
        ("0.0.1", CHANGELOG, "already"),
        ("9.8.7", CHANGELOG.replace("### Fixed\n\n- A page is no longer empty.\n", ""), "nothing under [Unreleased]"),
    ],
)
def test_what_cannot_be_released_is_refused_and_nothing_written(
    checkout: Path, version: str, changelog: str, reason: str
) -> None:
    (checkout / "CHANGELOG.md").write_text(changelog)

    done = release(checkout, version)

    assert done.returncode == 1
    assert reason in done.stderr
    assert (checkout / "VERSION").read_text().strip() == LAST
    assert (checkout / "CHANGELOG.md").read_text() == changelog


def test_the_changelog_has_a_section_for_what_is_unreleased() -> None:
    assert "\n## [Unreleased]\n" in (ROOT / "CHANGELOG.md").read_text()
