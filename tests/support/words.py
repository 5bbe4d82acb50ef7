"""Marks by which a test finds its own records among those of all others."""

from uuid import uuid4


def word() -> str:
    """A word that no other test knows: a letter, then letters and digits, all in lower case."""
    return f"w{uuid4().hex[:12]}"
