"""Texts in files that spreadsheets open: an apostrophe stands before what begins like a formula, and comes off when it is read."""

import re

# First characters that make a spreadsheet calculate; the wide ones do where people type them.
SIGNS = "\t\n\r+-=@＋－＝＠"

_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?")
_LIKE_A_FORMULA = re.compile(rf"'*[{re.escape(SIGNS)}]")


def harmless(text: str) -> str:
    """A text as a spreadsheet shows it and calculates nothing; plain numbers stay. An apostrophe before such a text gets one more."""
    return f"'{text}" if _LIKE_A_FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def as_text(cell: str) -> str:
    """What `harmless` has made a cell of; other apostrophes stay."""
    return cell[1:] if cell[:1] == "'" and _LIKE_A_FORMULA.match(cell) else cell
