"""`connectra-single`: the process of a container, by RUN_COMMAND."""

import os
import sysconfig
from pathlib import Path

from connectra_common.settings import load

from connectra_single.settings import ImageSettings

# Programs and their arguments, where they are not those of `connectra`.
PROGRAMS = {"indexer": ("connectra-write-indexer",)}


def main() -> None:
    """Becomes the process that RUN_COMMAND names."""
    command = load(ImageSettings).image.command
    program, *arguments = PROGRAMS.get(command, ("connectra", *command.split()))
    path = Path(sysconfig.get_path("scripts")) / program
    os.execv(path, [str(path), *arguments])  # noqa: S606 - no shell
