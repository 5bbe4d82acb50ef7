"""docs/rest.md: every path with an example and what else it answers, from the contracts and the table of calls."""

import json
import textwrap
from collections.abc import Iterator
from typing import Any

from connectra_gateway.replies import replies

from connectra_reference.contracts import Method, methods
from connectra_reference.table import EXAMPLES, Row, filled, rows, template

WIDTH = 120
HEAD = """\
# REST

Made by `make proto` from the contracts and from the table of calls that the contract test sends
(`libs/reference/src/connectra_reference/table.py`); change those, not this page.
The OpenAPI document is at `/openapi.json`, a page to try calls at `/docs`.

Every path exists with and without `/v1`, with and without a trailing slash. Every answer has `x-request-id`, the caller's own if it sent
one. All but `/health` need the header `X-API-Key`, or `Authorization: Bearer` where tokens are set up. What searches is described in
[vql.md](vql.md), what jobs do in [jobs.md](jobs.md).

## Errors

Every error is one envelope with `success` (false), `error`, `error_code`, `message` and `details`; `details.fields` has every
violation, `details.reason` the exact reason where there are several.
"""


def page() -> str:
    """The whole page."""
    declared = {method.name: method for method in methods()}
    own: dict[str, list[Row]] = {}
    for row in rows():
        if row.method and not row.is_of_every_path:
            own.setdefault(row.method, []).append(row)
    parts = [HEAD, *_errors(), "\n## What every path answers\n", *_common(), "\n## Paths\n"]
    for name, found in own.items():
        parts += _section(declared[name], found)
    return "\n".join(parts).rstrip() + "\n"


def _errors() -> Iterator[str]:
    yield "| status | error_code | message |\n|---|---|---|"
    yield "| 400 | `VALIDATION_ERROR` | what is wrong with each field, and what is allowed |"
    for reply in replies(0):
        yield f"| {reply.status} | `{reply.code}` | {reply.text} |"
    yield "| 500 | `DATABASE_ERROR`, `ELASTICSEARCH_ERROR`, `STORAGE_ERROR` | what could not be done |"


def _common() -> Iterator[str]:
    yield "| when | status | answer |\n|---|---|---|"
    seen: dict[str, Row] = {}
    for row in rows():
        if row.is_of_every_path or not row.method:
            seen.setdefault(row.case, row)
    for row in seen.values():
        yield f"| {row.case} | {row.status} | {_said(row)}{_headers(row)} |"


def _section(method: Method, found: list[Row]) -> Iterator[str]:
    yield "### " + ", ".join(f"`{verb} {path}`" for verb, path in method.bindings) + "\n"
    yield textwrap.fill(method.words, 140, break_on_hyphens=False) + "\n"
    first, *others = found
    yield "```"
    yield filled(first.call, EXAMPLES)
    yield from (f"{name}: {value}" for name, value in filled(first.headers, EXAMPLES).items())
    if first.body is not None:
        yield _text(first.body)
    yield f"\n{first.status}"
    yield from (f"{name}: {value}" for name, value in filled(first.shows, EXAMPLES, examples=True).items())
    yield _text(first.answer) + "\n```\n"
    listed = {(row.case, row.status): row for row in reversed(others) if row.case != first.case}
    if listed:
        yield "| | sent | status | answer |\n|---|---|---|---|"
    for row in reversed(listed.values()):
        yield f"| {row.case} | {_sent(row)} | {row.status} | {_said(row)}{_headers(row)} |"
    yield ""


def _sent(row: Row) -> str:
    query = row.call.partition("?")[2] or ("" if row.call == template(row.call) else row.call.partition(" ")[2])
    headers = [f"{name}: {value}" for name, value in filled(row.headers, EXAMPLES).items() if name != _FRESH]
    body = "" if row.body is None else json.dumps(filled(row.body, EXAMPLES))
    return ", ".join(f"`{part}`" for part in (query, *headers, body) if part and len(part) < WIDTH)


_FRESH = "x-consistency-token"


def _said(row: Row) -> str:
    if not row.is_error:
        return "" if len(text := json.dumps(filled(row.answer, EXAMPLES, examples=True))) > WIDTH else f"`{text}`"
    answer = filled(row.answer, EXAMPLES, examples=True)
    return f"`{answer['error_code']}` {answer['message']}".replace("|", "\\|")


def _headers(row: Row) -> str:
    shown = filled(row.shows, EXAMPLES, examples=True) if row.is_error else {}
    return "".join(f"; `{name}: {value}`" for name, value in shown.items())


def _text(value: Any) -> str:
    # Lines break between members, not after a name.
    text = json.dumps(filled(value, EXAMPLES, examples=True), ensure_ascii=False, separators=(", ", ":\u00a0"))
    lines = textwrap.fill(text, WIDTH, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False)
    return lines.replace("\u00a0", " ")
