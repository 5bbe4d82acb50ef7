"""Tables and anchors of Markdown."""

from collections.abc import Iterable, Iterator


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """The lines of a table, and an empty one after it."""
    titles = [*head]
    yield _row(titles)
    yield f"|{'---|' * len(titles)}"
    yield from map(_row, rows)
    yield ""


def _row(cells: Iterable[str]) -> str:
    return "".join(f"| {cell.replace('|', chr(92) + '|')} " if cell else "| " for cell in cells) + "|"


def anchor(title: str) -> str:
    """The anchor that a heading gets."""
    return "".join(char for char in title.lower().replace(" ", "-") if char.isalnum() or char in "-_")
