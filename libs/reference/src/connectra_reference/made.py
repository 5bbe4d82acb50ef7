"""Every committed file that this package makes, and what it has to say."""

import json
from pathlib import Path

from connectra_common.records.fields import COMPANY, CONTACT

from connectra_reference import cli_page, examples, fields_page, rest_page, settings_page
from connectra_reference.openapi import document


def made() -> dict[str, str]:
    """Contents by path from the project's root."""
    return {
        "gateway/src/connectra_gateway/openapi.json": json.dumps(document(), indent=1, ensure_ascii=False) + "\n",
        "docs/cli.md": cli_page.page(),
        "docs/fields.md": fields_page.page(),
        "docs/rest.md": rest_page.page(),
        "docs/settings.md": settings_page.page(),
        ".example.env": examples.env_file(),
        "examples/company_index_create.json": examples.index_create(COMPANY),
        "examples/contact_index_create.json": examples.index_create(CONTACT),
    }


def stale(root: Path) -> list[str]:
    """Paths whose files below `root` are missing or say something else."""
    return [path for path, text in made().items() if not (root / path).exists() or (root / path).read_text() != text]


def write(root: Path) -> None:
    """Writes all of them below `root`."""
    for path, text in made().items():
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_text(text)
