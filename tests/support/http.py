"""HTTP clients, and waiting for a reply."""

from collections.abc import Mapping

import httpx

from tests.support.wait import until


def client(
    url: str = "",
    key: str | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    timeout: float = 30,
    transport: httpx.AsyncBaseTransport | None = None,
) -> httpx.AsyncClient:
    """A client that ignores the proxies of this machine's environment.

    Args:
        url: what paths are relative to.
        key: sent with every request, as `headers` are.
        timeout: seconds.
        transport: instead of HTTP.
    """
    own = {} if key is None else {"x-api-key": key}
    return httpx.AsyncClient(
        base_url=url, headers={**own, **(headers or {})}, timeout=timeout, transport=transport, trust_env=False
    )


async def until_status(
    http: httpx.AsyncClient,
    status: int,
    method: str,
    path: str,
    *,
    seconds: float = 20,
    headers: Mapping[str, str] | None = None,
) -> httpx.Response:
    """Repeats a request until its reply has this status."""

    async def ask() -> httpx.Response:
        return await http.request(method, path, headers=headers)

    return await until(ask, lambda reply: reply.status_code == status, seconds=seconds)
