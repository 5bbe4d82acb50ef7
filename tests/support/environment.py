"""The environment of a process that reads settings."""

import os
from pathlib import Path

import pytest


def cleared(monkeypatch: pytest.MonkeyPatch, folder: Path) -> pytest.MonkeyPatch:
    """No variable and no `.env` of this machine: the working directory is `folder`."""
    for name in list(os.environ):
        monkeypatch.delenv(name)
    monkeypatch.chdir(folder)
    return monkeypatch
