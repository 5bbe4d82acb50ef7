"""The check of commit subjects that `.ci/run` and the hook commit-msg make."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

SCRIPT = ROOT / ".ci/subjects.py"


spec = importlib.util.spec_from_file_location("subjects", SCRIPT)
assert spec is not None
assert spec.loader is not None
subjects = importlib.util.module_from_spec(spec)
spec.loader.exec_module(subjects)


def environment() -> dict[str, str]:
    """Without what git tells its hooks: it would lead to the project's own repository."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}


def check(*arguments: str, cwd: Path, script: Path = SCRIPT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, script, *arguments], cwd=cwd, env=environment(), capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    "subject",
    [
        "query: refuse a page beyond the last",
        "gateway/keys: read the file again when it changes",
        "k8s: pin the image by its digest",
        "write: re-mark records whose company changed",
        *(
            f"docs: {verb} it"
            for verb in ("bring", "string", "need", "feed", "shed", "embed", "process", "focus", "alias")
        ),
        f"docs: {'x' * 66}",
    ],
)
def test_an_area_and_an_imperative_are_accepted(subject: str) -> None:
    assert subjects.faults(subject) == []


@pytest.mark.parametrize(
    ("subject", "fault"),
    [
        ("Refuse a page beyond the last", "area: imperative"),
        ("Query: refuse a page", "area: imperative"),
        ("query:refuse a page", "area: imperative"),
        ("query: ", "area: imperative"),
        ("query, write: share one envelope", "area: imperative"),
        ("", "area: imperative"),
        ("fixup! query: refuse a page", "area: imperative"),
        ("query: Refuse a page", "lower case"),
        ("query: 10,000 rows a page", "lower case"),
        *((f"query: {verb} pages", "imperative") for verb in ("adds", "added", "adding", "fixes", "using", "does")),
        ("query: refuse a page; name the limit", "two commits"),
        (f"docs: {'x' * 67}", "73 characters"),
    ],
)
def test_another_subject_is_refused_and_the_reason_named(subject: str, fault: str) -> None:
    assert fault in " ".join(subjects.faults(subject))


def test_the_hook_reads_the_first_line_of_the_message(tmp_path: Path) -> None:
    message = tmp_path / "message"
    message.write_text("docs: tell more\n\nA body; it says why.\n# A comment of git\n")
    assert check(str(message), cwd=tmp_path).returncode == 0

    message.write_text("Riddle\n")
    assert check(str(message), cwd=tmp_path).returncode == 1


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=A Tester", "-c", "user.email=tester@example.com", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, env=environment(), capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """A repository with one good subject, then a bad one, then a good one."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    folder = tmp_path / "history"
    folder.mkdir()
    git(folder, "init", "--quiet")
    for subject in ("docs: begin", "Riddle", "docs: go on"):
        git(folder, "commit", "--quiet", "--allow-empty", "--message", subject)
    return folder


def test_a_shallow_clone_is_checked_as_far_as_it_goes(history: Path, tmp_path: Path) -> None:
    results = []
    for depth in (1, 2):
        git(tmp_path, "clone", "--quiet", "--depth", str(depth), f"file://{history}", f"depth-{depth}")
        results.append(check(cwd=tmp_path / f"depth-{depth}"))

    assert [done.returncode for done in results] == [0, 1]
    assert results[1].stderr.count("\n") == 1
    assert "'Riddle'" in results[1].stderr


def test_commits_up_to_the_base_are_left_as_they_are(history: Path, tmp_path: Path) -> None:
    script = tmp_path / "subjects.py"
    based_on = git(history, "rev-parse", "HEAD~1")
    script.write_text(SCRIPT.read_text().replace('BASE = "afcb9cd"', f'BASE = "{based_on}"'))

    done = check(cwd=history, script=script)

    assert (done.returncode, done.stderr) == (0, "")


def test_a_copy_with_another_history_is_not_checked_and_says_so(history: Path) -> None:
    done = check(cwd=history)

    assert done.returncode == 0
    assert "nothing is checked" in done.stderr
