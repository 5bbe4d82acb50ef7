"""Writes the OpenAPI document and docs/rest.md; with `--check` it only says whether the committed ones are up to date."""

import json
import sys

from document import ROOT, document
from page import page


def main() -> None:
    wanted = {
        ROOT / "gateway/src/connectra_gateway/openapi.json": json.dumps(document(), indent=1, ensure_ascii=False)
        + "\n",
        ROOT / "docs/rest.md": page(),
    }
    if sys.argv[1:] == ["--check"]:
        stale = [str(p.relative_to(ROOT)) for p, text in wanted.items() if not p.exists() or p.read_text() != text]
        if stale:
            sys.exit(f"not up to date, run `make proto`: {', '.join(stale)}")
        return
    for target, text in wanted.items():
        target.write_text(text)


if __name__ == "__main__":
    main()
