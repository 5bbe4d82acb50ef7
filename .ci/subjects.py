#!/usr/bin/env python3
"""Checks commit subjects: `area: imperative`, at most 72 characters, one change.

    .ci/subjects.py             every commit after BASE that this clone has
    .ci/subjects.py FILE        the message in FILE (passed by the commit-msg hook)

Needs only git and Python.
"""

import re
import subprocess
import sys
from pathlib import Path

BASE = "afcb9cd"  # Commits up to this one predate the rule.
LONGEST = 72

AREA = r"[a-z][\w.-]*(?:/[\w.-]+)*"
SUBJECT = re.compile(rf"{AREA}: (?P<first>\S+)(?: \S+)*")
# An ending counts only after another syllable, so that "bring" and "shed" pass.
OTHER_FORM = re.compile(r"\w*[aeiouy]\w*(?:(?<!e)ed|ing|(?<![sua])s)")
ENDS_SO_BY_NATURE = {"embed"}


def faults(subject: str) -> list[str]:
    """What is wrong with a subject; empty if nothing is."""
    found = []
    if len(subject) > LONGEST:
        found.append(f"{len(subject)} characters, at most {LONGEST} are allowed")
    if ";" in subject:
        found.append('a ";" joins two changes: make two commits')
    parts = SUBJECT.fullmatch(subject)
    if parts is None:
        found.append('not "area: imperative", as in "query: refuse a negative page"')
    elif not re.fullmatch(r"[a-z]+(-[a-z]+)*", parts["first"]):
        found.append(f'"{parts["first"]}" is not a verb in lower case')
    elif OTHER_FORM.fullmatch(parts["first"]) and parts["first"] not in ENDS_SO_BY_NATURE:
        found.append(f'"{parts["first"]}" is not an imperative: "add", not "adds", "added" or "adding"')
    return found


def git(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)


def commits() -> list[tuple[str, str]]:
    """Short hash and subject of each commit after BASE. A shallow clone without BASE only has later ones."""
    if git("merge-base", "--is-ancestor", BASE, "HEAD").returncode == 0:
        since = [f"{BASE}..HEAD"]
    elif git("rev-parse", "--is-shallow-repository").stdout.strip() == "true":
        since = ["HEAD"]
    else:
        print(f"subjects: {BASE} is not in the history of this copy, so nothing is checked", file=sys.stderr)
        return []
    listed = git("log", "--no-merges", "--format=%h %s", *since)
    if listed.returncode:
        sys.exit(listed.stderr)
    return [(line[: line.index(" ")], line[line.index(" ") + 1 :]) for line in listed.stdout.splitlines()]


def main() -> int:
    """Returns the exit code: 1 when a subject has a fault."""
    if len(sys.argv) > 1:
        written = [line for line in Path(sys.argv[1]).read_text().splitlines() if not line.startswith("#")]
        checked = [("", written[0] if written else "")]
    else:
        checked = commits()
    bad = 0
    for commit, subject in checked:
        for fault in faults(subject):
            bad += 1
            print(f"{commit} {subject!r}: {fault}".strip(), file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
