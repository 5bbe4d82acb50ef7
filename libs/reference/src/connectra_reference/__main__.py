"""`python -m connectra_reference` writes the committed files that this package makes; `--check` only says which are not up to date."""

import sys

from connectra_reference import made
from connectra_reference.contracts import ROOT


def main() -> None:
    if sys.argv[1:] != ["--check"]:
        made.write(ROOT)
    elif stale := made.stale(ROOT):
        sys.exit(f"not up to date, run `make proto`: {', '.join(stale)}")


if __name__ == "__main__":
    main()
