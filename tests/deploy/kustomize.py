"""kustomize and kube-score, installed once into the project's downloads, and what they make of the manifests."""

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

# The Go package of each program.
PROGRAMS = {
    "kustomize": ("sigs.k8s.io/kustomize/kustomize/v5", "5.7.1"),
    "kube-score": ("github.com/zegl/kube-score/cmd/kube-score", "1.20.0"),
}
FOLDER = ROOT / "deploy/k8s"

Object = dict[str, Any]


@cache
def binary(name: str) -> Path:
    """A program. Skips the test where there is no Go to build it; a failing build is an error."""
    package, version = PROGRAMS[name]
    folder = Home.find().downloads / f"{name}-{version}"
    if not (program := folder / name).exists():
        if not (go := shutil.which("go")):
            pytest.skip(f"{name} {version} is built with Go, and there is none here")
        folder.mkdir(parents=True, exist_ok=True)
        made = subprocess.run(
            [go, "install", f"{package}@v{version}"],
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
    return list(yaml.safe_load_all(built(folder)))


@cache
def built(folder: str) -> str:
    """The same as YAML."""
    command = [str(binary("kustomize")), "build", str(FOLDER / folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def criticized(manifests: str, release: str) -> list[str]:
    """What kube-score finds critical in YAML, for a release of Kubernetes."""
    command = [str(binary("kube-score")), "score", "--kubernetes-version", f"v{release}", "--output-format", "ci", "-"]
    done = subprocess.run(command, input=manifests, capture_output=True, text=True, check=False)
    assert "[OK]" in done.stdout, done.stderr
    return [line for line in done.stdout.splitlines() if line.startswith("[CRITICAL]")]


def of_kind(objects: list[Object], *kinds: str) -> list[Object]:
    return [item for item in objects if item["kind"] in kinds]
