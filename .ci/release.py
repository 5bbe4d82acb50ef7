#!/usr/bin/env python3
"""Turns the section [Unreleased] into a release: `make release VERSION=1.2.3`. Commit and tag it afterwards.

Rewrites VERSION, the image tags in deploy/, the head of CHANGELOG.md, and proto/released.binpb. Run it from the project's root.
"""

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

UNRELEASED = "## [Unreleased]\n"
# Image tags as kustomizations and compose.yaml write them.
TAG = r'(\{{name: connectra/\w+,.* newTag: "|\$\{{VERSION:-){version}(?=["}}])'


def main() -> None:
    version, root = sys.argv[1], Path.cwd()
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        sys.exit(f"{version!r} is not MAJOR.MINOR.PATCH")
    changelog = root / "CHANGELOG.md"
    head, _, rest = changelog.read_text().partition(UNRELEASED)
    if f"## [{version}]" in rest:
        sys.exit(f"CHANGELOG.md has {version} already")
    if not re.match(r"\s*### ", rest):
        sys.exit("CHANGELOG.md has nothing under [Unreleased]")
    changelog.write_text(f"{head}{UNRELEASED}\n## [{version}] - {datetime.now(UTC):%Y-%m-%d}\n{rest}")

    last = (root / "VERSION").read_text().strip()
    (root / "VERSION").write_text(f"{version}\n")
    tag = re.compile(TAG.format(version=re.escape(last)))
    for file in sorted((root / "deploy").rglob("*.yaml")):
        text = file.read_text()
        changed = tag.sub(rf"\g<1>{version}", text)
        if changed != text:
            file.write_text(changed)

    image = "proto/released.binpb"
    subprocess.run([".venv/bin/buf", "build", "proto", "--exclude-source-info", "-o", image], check=True, cwd=root)


if __name__ == "__main__":
    main()
