"""Vendors Swagger UI, the page at /docs, from its official npm package.

    python gateway/swagger_ui.py            # are the vendored files those of the lock? Needs no network; a test asks the same
    python gateway/swagger_ui.py 5.35.0     # fetch that version with npm and write files and lock

The lock has the integrity that the npm registry states for the tarball, and the hash of each file that was taken out of it.
"""

import base64
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent / "src/connectra_gateway/swagger_ui"
LOCK = "lock.json"
PACKAGE = "swagger-ui-dist"
FILES = ("LICENSE", "NOTICE", "swagger-ui-bundle.js", "swagger-ui-bundle.js.LICENSE.txt", "swagger-ui.css")


def integrity(content: bytes) -> str:
    """As npm and browsers write it."""
    return f"sha512-{base64.b64encode(hashlib.sha512(content).digest()).decode()}"


def problems(folder: Path = FOLDER) -> list[str]:
    """What differs between the vendored files and the lock."""
    recorded = json.loads((folder / LOCK).read_text())["files"]
    there = {path.name: path for path in folder.iterdir() if path.name != LOCK}
    return [
        *(f"{name} is missing" for name in recorded if name not in there),
        *(f"{name} is not in the lock" for name in there if name not in recorded),
        *(f"{n} differs" for n, path in there.items() if n in recorded and integrity(path.read_bytes()) != recorded[n]),
    ]


def vendor(version: str) -> None:
    """Fetches a version; npm does so as it is configured here, and runs nothing of the package."""
    stated = _npm("view", f"{PACKAGE}@{version}", "dist.integrity")
    with tempfile.TemporaryDirectory() as temporary:
        _npm("pack", f"{PACKAGE}@{version}", "--ignore-scripts", "--pack-destination", temporary)
        [tarball] = Path(temporary).iterdir()
        if integrity(tarball.read_bytes()) != stated:
            sys.exit(f"the tarball of {PACKAGE} {version} is not the one that the registry describes")
        with tarfile.open(tarball) as archive:
            files = {name: _content(archive, name) for name in FILES}
    FOLDER.mkdir(exist_ok=True)
    for name, content in files.items():
        (FOLDER / name).write_bytes(content)
    lock = {
        "package": PACKAGE,
        "version": version,
        "integrity": stated,
        "files": {name: integrity(content) for name, content in files.items()},
    }
    (FOLDER / LOCK).write_text(json.dumps(lock, indent=2) + "\n")


def _npm(*arguments: str) -> Any:
    done = subprocess.run(["npm", *arguments, "--json"], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def _content(archive: tarfile.TarFile, name: str) -> bytes:
    member = archive.extractfile(f"package/{name}")
    if member is None:
        sys.exit(f"{PACKAGE} has no file {name} any more")
    return member.read()


if __name__ == "__main__":
    if sys.argv[1:]:
        vendor(sys.argv[1])
    if found := problems():
        sys.exit("the vendored Swagger UI is not what its lock says:\n  " + "\n  ".join(found))
