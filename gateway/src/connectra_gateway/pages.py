"""What Envoy serves from files: the description of the API, and a page that shows it and can try calls.

The page is Swagger UI, vendored from its official npm package by gateway/swagger_ui.py. It needs no other host.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources

_OURS = resources.files("connectra_gateway")


@dataclass(frozen=True)
class Page:
    """One file.

    Args:
        path: regular expression of the paths it is served at.
        name: of the file.
        content_type: sent with it.
        content: of the file.
    """

    path: str
    name: str
    content_type: str
    content: bytes


def pages() -> Iterator[Page]:
    """All files that Envoy serves."""
    yield Page("(/v1)?/openapi[.]json/?", "openapi.json", "application/json", _read("openapi.json"))
    yield Page("(/v1)?/docs/?", "docs.html", "text/html; charset=utf-8", _read("templates/docs.html"))
    yield Page("/docs/docs[.]js", "docs.js", "text/javascript; charset=utf-8", _read("templates/docs.js"))
    for name, kind in (("swagger-ui.css", "text/css"), ("swagger-ui-bundle.js", "text/javascript")):
        yield Page(f"/docs/{name.replace('.', '[.]')}", name, f"{kind}; charset=utf-8", _read(f"swagger_ui/{name}"))


def _read(name: str) -> bytes:
    return _OURS.joinpath(name).read_bytes()
