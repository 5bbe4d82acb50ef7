"""What Envoy serves from files: the description of the API, a page that shows it and can try calls, and the console.

The page of the API is Swagger UI, vendored from its official npm package by gateway/swagger_ui.py. The console is ours, modules as they are
written (ADR 42). Neither needs another host.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources

_OURS = resources.files("connectra_gateway")

_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}

# Swagger UI sets inline styles and has images in its style sheet.
_DOCS_POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True)
class Page:
    """One file.

    Args:
        path: regular expression of the paths it is served at.
        name: of the file.
        content_type: sent with it.
        content: of the file.
        policy: what the page may load and call (Content-Security-Policy).
        caching: sent as Cache-Control.
        counted: whether a call counts as one without a valid key. The many small files of one page do not: they would use up what an
            address may ask.
    """

    path: str
    name: str
    content_type: str
    content: bytes
    policy: str = _DOCS_POLICY
    caching: str = "max-age=300"
    counted: bool = True


def pages(upload_origins: Sequence[str] = ()) -> Iterator[Page]:
    """All files that Envoy serves.

    Args:
        upload_origins: where the console may send files to, beside this gateway.
    """
    yield Page("(/v1)?/openapi[.]json/?", "openapi.json", "application/json", _read("openapi.json"))
    yield Page("(/v1)?/docs/?", "docs.html", "text/html; charset=utf-8", _read("templates/docs.html"))
    yield Page("/docs/docs[.]js", "docs.js", "text/javascript; charset=utf-8", _read("templates/docs.js"))
    for name, kind in (("swagger-ui.css", "text/css"), ("swagger-ui-bundle.js", "text/javascript")):
        yield Page(f"/docs/{name.replace('.', '[.]')}", name, f"{kind}; charset=utf-8", _read(f"swagger_ui/{name}"))
    # Browsers ask for it of themselves, and have no key.
    icon = _read("console/icon.svg")
    yield Page("/favicon[.]ico", "favicon.ico", "image/svg+xml; charset=utf-8", icon, counted=False)
    yield from _console(upload_origins)


def _console(upload_origins: Sequence[str]) -> Iterator[Page]:
    # Nothing is made into code or markup: whatever a record holds stays text, also where this program has a fault.
    targets = " ".join(["'self'", *upload_origins])
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        f"connect-src {targets}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )
    for file in sorted(_OURS.joinpath("console").iterdir(), key=lambda file: file.name):
        suffix = file.name[file.name.rindex(".") :]
        yield Page(
            path="/console/?" if file.name == "index.html" else f"/console/{file.name.replace('.', '[.]')}",
            name=f"console-{file.name}",
            content_type=f"{_TYPES[suffix]}; charset=utf-8",
            content=file.read_bytes(),
            policy=policy,
            # Files of two releases do not fit together.
            caching="no-cache",
            counted=False,
        )


def _read(name: str) -> bytes:
    return _OURS.joinpath(name).read_bytes()
