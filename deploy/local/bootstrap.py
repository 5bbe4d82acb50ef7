"""Set up the project: `.venv` with everything pinned in it, and the parts that no Python wheel contains.

Needs Python 3.11+ and nothing else; `make setup` runs it. When nothing has changed since the last time it only checks, which
takes a fraction of a second. It uses uv if it can, which is several times faster than pip, but does not depend on it
($CONNECTRA_NO_UV=1 turns it off).
"""

# ruff: noqa: T201, S606 - a script that prints to a terminal, and may replace itself by another Python

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "connectra-setup.stamp"
LOG = VENV / "connectra-setup.log"
REQUIREMENTS = ROOT / "requirements.txt"
PACKAGES = (
    "libs/contracts",
    "libs/common",
    "libs/client",
    "libs/ops",
    "services/query",
    "services/write",
    "services/jobs",
    "gateway",
    "deploy/single",
    "deploy/local",
    "libs/reference",
)
OLDEST = (3, 11)
ADVICE = (
    "Check the network (and HTTPS_PROXY or pip's own configuration, if you need one) and run the same command again: "
    "what has been fetched is kept."
)


class SetupError(Exception):
    """Setup cannot continue; the text says why and what to do."""


def main() -> int:
    """Set everything up. Returns the exit code."""
    try:
        require_python()
        if not is_set_up():
            make_venv()
            install_packages()
            STAMP.write_text(fingerprint())
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    # Checks what is installed, and reports its own errors.
    return subprocess.call([str(PYTHON), "-m", "connectra_local.setup"], cwd=ROOT)


def require_python() -> None:
    """Continue under a newer Python of this machine if this one is too old."""
    if sys.version_info >= OLDEST:
        return
    for minor in (13, 12, 11, 14):
        other = shutil.which(f"python3.{minor}")
        # The name alone proves little: version managers install shims that only print an error.
        if other and subprocess.call([other, "-c", ""], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0:
            os.execv(other, [other, *sys.argv])
    have = ".".join(str(number) for number in sys.version_info[:3])
    raise SetupError(
        f"Connectra needs Python 3.11 or newer; python3 is {have} ({sys.executable}) and no other was found."
    )


def fingerprint() -> str:
    """A digest of what the environment is made from: if it changes, the environment has to be made again."""
    digest = hashlib.sha256(f"{sys.version}\0{VENV}\0".encode())
    for file in (
        REQUIREMENTS,
        ROOT / "VERSION",
        Path(__file__),
        *(ROOT / package / "pyproject.toml" for package in PACKAGES),
    ):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def is_set_up() -> bool:
    return PYTHON.exists() and STAMP.exists() and STAMP.read_text() == fingerprint()


def make_venv() -> None:
    """Create the venv, unless there is one of this Python and created at this path."""
    if PYTHON.exists():
        ask = [str(PYTHON), "-c", "import sys; print(sys.version)"]
        version = subprocess.run(ask, capture_output=True, text=True, check=False).stdout
        # Its scripts contain the path where it was created.
        if version == f"{sys.version}\n" and str(VENV) in (VENV / "bin/activate").read_text():
            return
    problem = run("venv", [sys.executable, "-m", "venv", "--clear", str(VENV)])
    if problem:
        raise SetupError(
            f"{problem}\nCannot make a virtual environment. On Debian and Ubuntu: apt install python3-venv "
            "(or python3.11-venv), then run the same command again."
        )


def install_packages() -> None:
    """Everything pinned, then our own packages, editable."""
    pip = [str(PYTHON), "-m", "pip", "--disable-pip-version-check"]
    installers = [[*pip, "install"]]
    uv = find_uv(pip)
    if uv:
        # Where a process may not write compiled files, each start of each would compile everything again.
        installers.insert(0, [uv, "pip", "install", "--compile-bytecode", "--python", str(PYTHON)])
    editable = [argument for package in PACKAGES for argument in ("-e", str(ROOT / package))]
    problem = ""
    for installer in installers:
        name = "uv" if installer[0] == uv else "pip"
        problem = run(
            f"packages ({name})", [*installer, "--no-deps", "--require-hashes", "-r", str(REQUIREMENTS)]
        ) or run(f"connectra ({name})", [*installer, "--no-deps", "--no-build-isolation", *editable])
        if not problem:
            return
    raise SetupError(f"{problem}\nThe Python packages could not be installed (full output: {LOG}). {ADVICE}")


def find_uv(pip: list[str]) -> str | None:
    """uv of this machine, else the pinned one installed into the venv, else None."""
    if os.environ.get("CONNECTRA_NO_UV"):
        return None
    in_venv = VENV / "bin" / "uv"
    found = shutil.which("uv") or (str(in_venv) if in_venv.exists() else None)
    if found:
        return found
    pinned = re.search(r"^uv==(?:.*\\\n)*.*\n", REQUIREMENTS.read_text(), re.MULTILINE)
    if not pinned:
        return None
    wanted = VENV / "connectra-setup.uv.txt"
    wanted.write_text(pinned.group())
    failed = run("uv", [*pip, "install", "--require-hashes", "--no-deps", "-r", str(wanted)])
    return None if failed else str(in_venv)


def run(what: str, command: list[str]) -> str:
    """Run one step and show the seconds it takes. Returns "" or, if it failed, the end of its output."""
    began = time.monotonic()
    live = sys.stdout.isatty()
    print(f"setup: {what} ...", end="" if live else "\n", flush=True)
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, cwd=ROOT)
        try:
            while process.poll() is None:
                time.sleep(0.1)
                if live:
                    print(f"\rsetup: {what} ... {time.monotonic() - began:.0f} s", end="", flush=True)
        except KeyboardInterrupt:
            process.terminate()
            process.wait()
            raise
        back = "\r" if live else ""
        if process.returncode == 0:
            print(f"{back}setup: {what}: done in {time.monotonic() - began:.1f} s")
            return ""
        print(f"{back}setup: {what}: failed after {time.monotonic() - began:.1f} s")
        out.seek(0)
        printed = out.read()
    if VENV.is_dir():
        LOG.write_bytes(printed)
    lines = printed.decode(errors="replace").strip().split("\n")
    return "\n".join(f"  {line[:300]}" for line in lines[-6:])


if __name__ == "__main__":
    sys.exit(main())
