"""The file VERSION is the one place for the version of all packages and images."""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.support.paths import ROOT

VERSION = (ROOT / "VERSION").read_text().strip()
WORKSPACE = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["workspace"]["members"]
PACKAGES = sorted(file.parent for member in WORKSPACE for file in ROOT.glob(f"{member}/pyproject.toml"))


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: str(package.relative_to(ROOT)))
def test_a_package_takes_its_version_from_the_file(package: Path) -> None:
    described = tomllib.loads((package / "pyproject.toml").read_text())

    assert "version" not in described["project"]
    assert (package / described["tool"]["hatch"]["version"]["path"]).resolve() == ROOT / "VERSION"
    assert version(described["project"]["name"]) == VERSION, "run `make setup`"


def test_what_deploys_names_images_of_this_version() -> None:
    files = [file for suffix in ("*.yaml", "Dockerfile") for file in (ROOT / "deploy").rglob(suffix)]
    tags = [
        (file.name, found[1] or found[2])
        for file in files
        for found in re.finditer(r"connectra/\w+(?:, newTag: \"([^\"]+)\"|:\$\{VERSION:-([^}]+)\})", file.read_text())
    ]

    assert len(tags) > 8
    assert {tag for _, tag in tags} == {VERSION}


@pytest.mark.parametrize("part", ["services/query", "services/write", "services/jobs", "gateway", "deploy/single"])
def test_a_dockerfile_builds_from_the_file_and_is_told_what_its_label_says(part: str) -> None:
    dockerfile = (ROOT / part / "Dockerfile").read_text()

    assert "COPY VERSION ./\n" in dockerfile
    assert 'org.opencontainers.image.version="${VERSION}"' in dockerfile
    assert VERSION not in dockerfile
