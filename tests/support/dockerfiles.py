"""Reads the Dockerfiles and runs their steps in a folder: what can be shown of images without a container engine."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from connectra_gateway.render import envoy_binary

from tests.support.paths import ROOT

PARTS = {
    "query": "services/query",
    "write": "services/write",
    "jobs": "services/jobs",
    "gateway": "gateway",
    "single": "deploy/single",
}
# Of an image that is made of another one.
LAMBDA = "lambda"
FOLDERS = {**PARTS, LAMBDA: "deploy/lambda"}


@dataclass(frozen=True)
class Instruction:
    """One instruction, continuation lines joined."""

    name: str
    value: str


def stages(part: str) -> list[list[Instruction]]:
    """The instructions of each stage, each beginning with its FROM."""
    text = re.sub(r"^#.*\n", "", (ROOT / FOLDERS[part] / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    found: list[list[Instruction]] = []
    for line in lines:
        name, _, value = line.partition(" ")
        if name == "FROM":
            found.append([])
        if found:
            found[-1].append(Instruction(name, value.strip()))
    return found


def value(stage: list[Instruction], name: str) -> str:
    """The value of the only instruction of that name."""
    (found,) = [instruction.value for instruction in stage if instruction.name == name]
    return found


def environment(part: str) -> dict[str, str]:
    """The variables that an image sets."""
    return dict(item.split("=", 1) for item in shlex.split(value(stages(part)[-1], "ENV")))


class Image:
    """What the steps of a Dockerfile left in a folder, and how a container would start it.

    Args:
        part: of PARTS.
        folder: readable by everybody, and not below /tmp, which the container has for itself.
    """

    def __init__(self, part: str, folder: Path) -> None:
        self.folder = folder
        *others, build, final = stages(part)
        self.entrypoint: list[str] = json.loads(value(final, "ENTRYPOINT"))
        self.user, self.group = value(final, "USER").split(":")
        self.environment = dict(item.split("=", 1) for item in shlex.split(self._here(value(final, "ENV"))))
        self.environment["PATH"] = self.environment["PATH"].replace("$PATH", os.defpath)
        self._run_steps(build)
        copies = ["--from=build /opt/connectra /opt/connectra"]
        if others:
            copies.append("--from=envoy {0} {0}".format(self.environment["ENVOY_BIN"]))
            # Of the image of Envoy, which stands here for the one that the tests run with.
            self.environment["ENVOY_BIN"] = str(shutil.copy(envoy_binary(None), folder / "envoy"))
        assert [step.value for step in final if step.name == "COPY"] == copies

    def command(self, *arguments: str, environment: dict[str, str]) -> list[str]:
        """A command line that runs `arguments` as process 1 of a container would: as the image's user, without any right, on a
        read-only root with a /tmp of its own, and with nothing in the environment but the image's and what is given."""
        pairs = [f"{name}={value}" for name, value in (self.environment | environment).items()]
        mounts = "mount -t tmpfs -o mode=1777 tmpfs /tmp && mount -o remount,bind,ro / && cd / && exec"
        user = f"setpriv --reuid {self.user} --regid {self.group} --clear-groups --bounding-set=-all --no-new-privs"
        inner = f"{mounts} {user} env -i {shlex.join([*pairs, *arguments])}"
        return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", inner]

    def _here(self, text: str) -> str:
        return re.sub(r"(?<![\w.])/(opt/connectra|wheels)\b", rf"{self.folder}/\1", text)

    def _run_steps(self, build: list[Instruction]) -> None:
        source, python = self.folder / "src", self.folder / "python"
        source.mkdir()
        subprocess.run([sys.executable, "-m", "venv", python], check=True)  # stands for the base image
        path = f"{python / 'bin'}:{os.defpath}"
        kept = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
        for step in build:
            if step.name == "COPY":
                origin, target = step.value.split()
                self._copy(origin, target, source)
            elif step.name == "RUN":
                command = ["bash", "-euo", "pipefail", "-c", self._here(step.value)]
                done = subprocess.run(
                    command, cwd=source, env={**kept, "PATH": path}, capture_output=True, text=True, check=False
                )
                assert done.returncode == 0, f"{step.value}\n{done.stderr}"

    @staticmethod
    def _copy(origin: str, target: str, source: Path) -> None:
        goal = source / target / Path(origin).name if target.endswith("/") else source / target
        goal.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / origin).is_dir():
            shutil.copytree(ROOT / origin, goal, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
        else:
            shutil.copy(ROOT / origin, goal)
