"""Errors as the people at a terminal read them: each thing once, and under the names that they typed."""

import re

from connectra_client.errors import ApiError, ClientError

# What a request calls something, at the beginning of a complaint, and the option that it came from.
_OPTIONS = (
    (r"(job_data\.)?(vql\.)?select_columns(\[\d+\])?", "--columns"),
    (r"(job_data\.)?vql\.where", "--where"),
    (r"(job_data\.)?vql\.q", "TEXT"),
    (r"(job_data\.)?vql\.alike(\[\d+\])?", "--alike"),
    (r"where", "--where"),
    (r"alike(\[\d+\])?", "--alike"),
    (r"q", "TEXT"),
    (r"group_by\[\d+\](\.(field|interval|calendar_interval))?", "--by"),
    (r"group_by\[\d+\]\.size", "--size"),
    (r"order_by(\[\d+\])?(\.(order_by|order_direction))?", "--sort"),
    (r"(cursor|search_after)(\[\d+\])?", "--cursor"),
    (r"(job_data\.)?columns", "--map"),
    (r"(job_data\.)?max_rejected", "--max-rejected"),
    (r"(job_data\.)?encoding", "--encoding"),
    (r"filter_key", "KEY"),
    (r"search_text", "TEXT"),
    (r"retry_count", "--retries"),
)
# Messages are repeated cut, with what follows counted, or with other complaints counted: their beginnings are compared.
_COMPARED = 48


def told(error: ClientError) -> str:
    """The text of an error for stderr: one line for each thing that is wrong."""
    if not isinstance(error, ApiError):
        return str(error)
    lines = [_in_own_words(str(field)) for field in error.fields]
    message = _in_own_words(error.message)
    spoken = {line[:_COMPARED] for line in (*lines, *(_in_own_words(field.message) for field in error.fields))}
    if not any(message.startswith(line) for line in spoken if line):
        lines.insert(0, message)
    return "\n".join(dict.fromkeys(lines))


def _in_own_words(text: str) -> str:
    for written, option in _OPTIONS:
        if found := re.match(rf"{written}(?=[:.\s\[]|$)", text):
            return f"{option}{text[found.end() :]}"
    return text
