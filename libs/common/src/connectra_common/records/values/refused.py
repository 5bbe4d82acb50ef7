"""Why a value is not stored."""


class Refused(ValueError):
    """A value that is not valid for its field; the text says what is wrong and what is allowed, without the field's name."""


class Malformed(Refused):
    """It has not the form of its field; the documentation has a text of its own for this."""


def shown(text: str) -> str:
    """A value as messages quote it."""
    return repr(text if len(text) <= 40 else text[:40] + "…")
