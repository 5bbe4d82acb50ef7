"""For which version of a record a call is."""

import re

from connectra_common.errors import FieldViolation, ValidationFailed
from connectra_common.server import metadata
from connectra_common.server.metadata import Context

IF_MATCH = "if-match"

_ETAG = re.compile(r'(?:W/)?"([^"]*)"|(\d+)')


def read_if_match(context: Context) -> list[int] | None:
    """Versions of an If-Match header; None for any. Tags that we never gave match nothing.

    Raises:
        ValidationFailed: it is not a list of entity tags.
    """
    header = (metadata.get(context, IF_MATCH) or "*").strip()
    if header == "*":
        return None
    tags = [_ETAG.fullmatch(part.strip()) for part in header.split(",")]
    if not all(tags):
        message = 'If-Match must be "*" or the etag of an answer, such as "42"'
        raise ValidationFailed.of([FieldViolation("If-Match", message)])
    texts = [tag[1] if tag[2] is None else tag[2] for tag in tags if tag]
    return [int(text) for text in texts if text.isascii() and text.isdecimal() and len(text) < 19]
