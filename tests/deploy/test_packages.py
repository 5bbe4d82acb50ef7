"""The packages as an index would be given them."""

import email
import os
import subprocess
import tarfile
import tomllib
import zipfile
from email.message import Message
from pathlib import Path

import pytest

from tests.support.paths import ROOT

PACKAGES = {
    tomllib.loads(file.read_text())["project"]["name"].replace("-", "_")
    for folder in ("libs/*", "services/*", "gateway", "deploy/*")
    for file in ROOT.glob(f"{folder}/pyproject.toml")
}


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with all wheels and source distributions, as `make packages` builds and checks them."""
    folder = tmp_path_factory.mktemp("packages") / "dist"
    done = subprocess.run(
        ["make", "packages", f"DIST={folder}"],
        cwd=ROOT,
        env={**os.environ, "UV_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def described(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return email.message_from_bytes(archive.read(name))


def test_every_package_is_built_at_the_version_of_the_project(built: Path) -> None:
    version = (ROOT / "VERSION").read_text().strip()
    expected = {f"{name}-{version}{ending}" for name in PACKAGES for ending in (".tar.gz", "-py3-none-any.whl")}

    assert {file.name for file in built.iterdir() if not file.name.startswith(".")} == expected


def test_a_wheel_says_what_it_is_and_where_it_comes_from(built: Path) -> None:
    for wheel in built.glob("*.whl"):
        metadata = described(wheel)

        assert metadata["License-Expression"] == "Apache-2.0", wheel.name
        assert metadata["Description-Content-Type"] == "text/markdown", wheel.name
        assert metadata["Author"], wheel.name
        assert metadata["Keywords"], wheel.name
        labels = {url.partition(",")[0] for url in metadata.get_all("Project-URL", [])}
        assert {"Source", "Changelog", "Issues"} <= labels, wheel.name
        assert "Typing :: Typed" in metadata.get_all("Classifier", []), wheel.name


def test_a_package_carries_the_license(built: Path) -> None:
    text = (ROOT / "LICENSE").read_bytes()
    for wheel in built.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/licenses/LICENSE")]
            assert archive.read(name) == text, wheel.name


def test_a_typed_package_carries_its_marker(built: Path) -> None:
    for wheel in built.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            assert any(name.endswith("/py.typed") for name in archive.namelist()), wheel.name


def test_a_source_distribution_has_the_readme_and_no_leftovers(built: Path) -> None:
    for sdist in built.glob("*.tar.gz"):
        with tarfile.open(sdist) as archive:
            names = [name.partition("/")[2] for name in archive.getnames()]
        assert "README.md" in names, sdist.name
        assert not [name for name in names if "__pycache__" in name], sdist.name
