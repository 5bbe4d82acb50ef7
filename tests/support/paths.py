"""Where the files of the project lie."""

from connectra_local.home import project_root

ROOT = project_root()
