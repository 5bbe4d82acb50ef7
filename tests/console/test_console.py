"""The console in Chromium, from the import of a file to the download of a segment; axe looks at every page.

The pictures of docs/console.md come from here.
"""

import asyncio
import csv
import io
import re
from pathlib import Path
from urllib.parse import urlsplit

from connectra_local.sample import sample_csv

from tests.console.browser import drive, needs_browser
from tests.support.stack import Stack

TITLES = ("Head of Sales", "Buyer", "Software Engineer", "Chief Financial Officer")
COMPANIES = ("Petrol Lab, Inc.", "Nordhaus GmbH", "Sol y Mar", "Windmill Works", "C++ Partners")
FIRST_NAMES = ("Mirela", "Oskar", "Ada", "Elena", "Jürgen", "Yuki", "Priya", "Tomasz")


def linkedin() -> str:
    """An export of connections: notes, a blank line, then 40 people of whom each title has ten."""
    text = io.StringIO()
    text.write('Notes:\n"Addresses are missing where a member does not show theirs."\n\n')
    writer = csv.writer(text)
    writer.writerow(("First Name", "Last Name", "URL", "Email Address", "Company", "Position", "Connected On"))
    for i in range(40):
        # Heads of sales are at two of the companies.
        title, company = TITLES[i % 4], COMPANIES[i // 4 % 2 if i % 4 == 0 else i % 5]
        name = FIRST_NAMES[i % 8]
        profile = f"https://www.linkedin.com/in/{i}-fieldcase"
        writer.writerow((name, "Fieldcase", profile, f"person{i}@fieldcase.example", company, title, "03 Feb 2026"))
    return text.getvalue()


def large(file: Path) -> None:
    """A file of 75 MiB, which has five parts and takes some time to be imported."""
    notes = "x" * 700
    with file.open("w") as text:
        text.write("first_name,last_name,email,notes\n")
        for i in range(104_000):
            text.write(f"Lars,Large{i},lars{i}@large.example,{notes}\n")


@needs_browser
async def test_a_person_imports_finds_corrects_and_exports(stack: Stack, tmp_path: Path) -> None:
    sample, connections = tmp_path / "sample.csv", tmp_path / "Connections.csv"
    sample.write_bytes(b"".join(sample_csv(1_000)))
    connections.write_text(linkedin())
    await asyncio.to_thread(large, tmp_path / "large.csv")
    imported = await asyncio.to_thread(stack.command, "import", str(sample))
    assert imported.returncode == 0, imported.stderr
    added = await asyncio.to_thread(stack.command, "keys", "add", "reader", "--right", "read")
    [reader] = re.findall(r"ctra_\w{38}", added.stdout)
    files = {"file": str(connections), "large": str(tmp_path / "large.csv")}
    await drive("people.mjs", stack, reader=reader, store=urlsplit(stack.s3.endpoint).netloc, **files)
