"""kustomize, installed once into the project's downloads, and what it renders."""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from connectra_local.home import Home

from tests.support.paths import ROOT

VERSION = "5.7.1"
FOLDER = ROOT / "deploy/k8s"

Object = dict[str, Any]


@cache
def binary() -> Path:
    """The program. Skips the test where there is no Go to build it; a failing build is an error."""
    folder = Home.find().downloads / f"kustomize-{VERSION}"
    if not (program := folder / "kustomize").exists():
        if not (go := shutil.which("go")):
            pytest.skip(f"kustomize {VERSION} is built with Go, and there is none here")
        folder.mkdir(parents=True, exist_ok=True)
        package = f"sigs.k8s.io/kustomize/kustomize/v5@v{VERSION}"
        made = subprocess.run(
            [go, "install", package],
            env={**os.environ, "GOBIN": str(folder)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert made.returncode == 0, made.stderr
    return program


@cache
def render(folder: str) -> list[Object]:
    """The objects of a folder below deploy/k8s."""
    done = subprocess.run([binary(), "build", FOLDER / folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def of_kind(objects: list[Object], *kinds: str) -> list[Object]:
    return [item for item in objects if item["kind"] in kinds]
