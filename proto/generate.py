"""Generates the code of libs/contracts and libs/client from the contracts, and the blocking client from the async one; `--check` only says
whether the committed code is up to date.

Run it by `make proto` from the project's root. Everything it needs is installed; no schema registry is asked.
"""

import filecmp
import os
import re
import shutil
import subprocess
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

import unasync

ROOT = Path(__file__).resolve().parent.parent
GENERATED = ("libs/contracts/src/connectra", "libs/client/src/connectra_client/proto")
CLIENT = "libs/client/src/connectra_client/aio/client.py"
SYNC_CLIENT = "libs/client/src/connectra_client/sync/client.py"
IMPORTED = ("annotations.proto", "http.proto", "httpbody.proto")


def copy_imports() -> None:
    """Puts google/api where buf.yaml expects it."""
    target = ROOT / ".connectra/proto-deps/google/api"
    target.mkdir(parents=True, exist_ok=True)
    for name in IMPORTED:
        shutil.copyfile(str(files("google.api") / name), target / name)


def generate(output: Path) -> None:
    """Writes all generated packages below `output`."""
    tools = ROOT / ".venv/bin"
    # The betterproto2 plugin formats what it makes and looks for ruff on the PATH.
    env = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    command: list[str | Path] = [tools / "buf", "generate", "--path", "proto/connectra", "-o", output]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)  # the plugins talk a lot
    if done.returncode:
        sys.exit(f"{done.stderr}buf could not generate the code; its reason stands above")
    for stub in (output / GENERATED[0]).rglob("*_pb2_grpc.pyi"):
        if not stub.with_suffix(".py").exists():  # the contracts of this file have no service
            stub.unlink()
        else:
            stub.write_text(_async_first(stub.read_text()))
    for package in GENERATED:
        for folder in (output / package, *(output / package).rglob("*/")):
            if folder.name != "__pycache__":
                (folder / "__init__.py").touch()
    (output / GENERATED[0] / "py.typed").touch()
    # With comments, which the code has not.
    described: list[str | Path] = [
        tools / "buf",
        "build",
        "--path",
        "proto/connectra",
        "--exclude-imports",
        "--as-file-descriptor-set",
    ]
    subprocess.run([*described, "-o", output / GENERATED[0] / "contracts.binpb"], cwd=ROOT, check=True)
    for stubs in ("aio.py", "sync.py"):
        file = output / GENERATED[1] / stubs
        file.write_text(_formatted(file.read_text()))
    write_sync_client(output)


def write_sync_client(output: Path) -> None:
    """Writes the client without `async` and `await`."""
    names = {"aio": "sync", "Connectra": "SyncConnectra"}
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "aio" / "client.py"
        source.parent.mkdir()
        shutil.copyfile(ROOT / CLIENT, source)
        unasync.unasync_files([str(source)], [unasync.Rule("/aio/", "/sync/", additional_replacements=names)])
        code = (Path(folder) / "sync" / "client.py").read_text().partition('"""\n')[2]
    header = (
        '"""The typed client, blocking. Generated from `connectra_client.aio.client` by `make proto`: DO NOT EDIT."""'
    )
    target = output / SYNC_CLIENT
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(_formatted(f"{header}\n{code}"))


def _async_first(stubs: str) -> str:
    """`XStub` means calls that are awaited, which are those of the servers; of a channel that blocks it is an `XSyncStub`. The plugin has
    it the other way round.
    """
    other = {"grpc": "aio", "aio": "grpc"}
    swapped = re.sub(
        r"\b_(grpc|aio)\.(Channel|\w+MultiCallable)", lambda found: f"_{other[found[1]]}.{found[2]}", stubs
    )
    return re.sub(r"(?<=Service)AsyncStub\b", "SyncStub", swapped)


def _formatted(code: str) -> str:
    for command in (["check", "--select=I", "--fix"], ["format"]):
        ruff = [str(ROOT / ".venv/bin/ruff"), *command, "--quiet", f"--stdin-filename={ROOT / SYNC_CLIENT}", "-"]
        code = subprocess.run(ruff, input=code, capture_output=True, text=True, check=True).stdout
    return code


def differing(left: Path, right: Path) -> list[str]:
    """Paths below `left` and `right` whose files are not the same."""
    files = [(side, path) for side in (left, right) for path in side.rglob("*") if "__pycache__" not in path.parts]
    names = {str(path.relative_to(side)) for side, path in files if path.is_file()}
    return [name for name in sorted(names) if not _same(left / name, right / name)]


def _same(left: Path, right: Path) -> bool:
    return left.exists() and right.exists() and filecmp.cmp(left, right, shallow=False)


def main() -> None:
    copy_imports()
    if sys.argv[1:] != ["--check"]:
        generate(ROOT)
        return
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        stale = [f"{p}/{name}" for p in GENERATED for name in differing(ROOT / p, Path(folder) / p)]
        stale += [] if _same(ROOT / SYNC_CLIENT, Path(folder) / SYNC_CLIENT) else [SYNC_CLIENT]
    if stale:
        sys.exit("generated code is not up to date, run `make proto`:\n  " + "\n  ".join(stale))


if __name__ == "__main__":
    main()
