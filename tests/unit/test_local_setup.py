"""Set-up: what is pinned, and when it has to be done again."""

import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

import pytest
from connectra_local import elasticsearch
from connectra_local.home import Home

from tests.support.paths import ROOT


@pytest.fixture
def bootstrap() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bootstrap", ROOT / "deploy/local/bootstrap.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkout(bootstrap: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the files that set-up depends on, with a venv that is set up."""
    for name in ("VERSION", "requirements.txt", *(f"{package}/pyproject.toml" for package in bootstrap.PACKAGES)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, tmp_path / name)
    venv = tmp_path / ".venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin/python").touch()
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    monkeypatch.setattr(bootstrap, "REQUIREMENTS", tmp_path / "requirements.txt")
    monkeypatch.setattr(bootstrap, "VENV", venv)
    monkeypatch.setattr(bootstrap, "PYTHON", venv / "bin/python")
    monkeypatch.setattr(bootstrap, "STAMP", venv / "stamp")
    (venv / "stamp").write_text(bootstrap.fingerprint())
    return tmp_path


def test_nothing_is_done_again_while_nothing_changed(bootstrap: ModuleType, checkout: Path) -> None:
    assert bootstrap.is_set_up()


@pytest.mark.parametrize("file", ["VERSION", "requirements.txt", "services/jobs/pyproject.toml"])
def test_a_changed_pin_or_package_is_installed(bootstrap: ModuleType, checkout: Path, file: str) -> None:
    with (checkout / file).open("a") as changed:
        changed.write("# changed\n")
    assert not bootstrap.is_set_up()


def test_a_venv_without_its_python_is_made_again(bootstrap: ModuleType, checkout: Path) -> None:
    (checkout / ".venv/bin/python").unlink()
    assert not bootstrap.is_set_up()


def test_every_package_of_the_workspace_is_installed(bootstrap: ModuleType) -> None:
    found = {
        str(file.parent.relative_to(ROOT))
        for pattern in ("libs/*", "services/*", "gateway", "deploy/*")
        for file in ROOT.glob(f"{pattern}/pyproject.toml")
    }
    assert set(bootstrap.PACKAGES) == found


def test_every_jar_is_pinned_by_its_digest() -> None:
    lines = [line for line in (elasticsearch.NODE / "jars.lock").read_text().splitlines() if line.strip()]
    jars = elasticsearch.locked_jars()
    assert len(jars) == len(lines) == len({jar.file_name for jar in jars})
    assert elasticsearch.version().startswith("8.19.")


def test_another_lock_or_plugin_is_another_installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = tmp_path / "node"
    shutil.copytree(elasticsearch.NODE, node)
    monkeypatch.setattr(elasticsearch, "NODE", node)
    before = elasticsearch.installation(tmp_path)
    assert before == elasticsearch.installation(tmp_path)
    with (node / "java/connectra/plugin/EmbeddedPlugin.java").open("a") as source:
        source.write("// changed\n")
    assert elasticsearch.installation(tmp_path) != before


def test_deleting_data_keeps_keys_and_downloads(tmp_path: Path) -> None:
    home = Home(tmp_path, tmp_path / "downloads")
    home.create()
    home.downloads.mkdir()
    for file in (home.data / "x", home.downloads / "jar", home.path / "secrets.json"):
        file.touch()
    home.remove_data()
    assert sorted(path.name for path in home.path.iterdir()) == ["downloads", "secrets.json"]
