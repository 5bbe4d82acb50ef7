"""Calls to Elasticsearch: whole answers in time, or an error. A short answer is never one."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
import structlog
from connectra_common.call import Call
from connectra_common.errors import DeadlineExceeded, Unavailable
from elastic_transport import ConnectionTimeout
from elasticsearch import ApiError, AsyncElasticsearch

from connectra_query.search.compile import Json

log = structlog.get_logger()

PIT_KEEP_ALIVE = "5m"
# The engine gives up a little before we do, so that its own word arrives.
ANSWER_SECONDS = 0.05
_HEADERS = {"accept": "application/json", "content-type": "application/json"}
# Only what is read: the rest would be written, sent and parsed for nothing.
_PATHS = "timed_out,_shards.failed,pit_id,hits.total,hits.hits.sort,hits.hits.highlight,aggregations"


class Search:
    """Searches within the time a call has left, `most_seconds` at most each."""

    def __init__(self, client: AsyncElasticsearch, most_seconds: float = 10.0) -> None:
        self._client = client
        self._most = most_seconds

    async def run(self, alias: str | None, body: Json, call: Call) -> Json:
        """The answer to a search body; `alias` None when the body names a point in time.

        Raises:
            DeadlineExceeded: not within the call's time.
            Unavailable: a part of the index did not answer, or nothing did.
        """
        seconds = call.seconds(self._most)
        path = f"/{alias}/_search" if alias else "/_search"
        query = f"filter_path={_PATHS}" + ("&allow_partial_search_results=false" if alias else "")
        try:
            async with asyncio.timeout(seconds + ANSWER_SECONDS):
                answer = await self._client.perform_request(
                    "POST",
                    f"{path}?{query}",
                    headers=_HEADERS,
                    body=orjson.dumps({**body, "timeout": _time(seconds)}),
                    endpoint_id="search",
                )
        except ConnectionTimeout:
            raise DeadlineExceeded("the search took too long") from None
        except ApiError as error:
            # Depending on the place where the time runs out, it is said in either way.
            if error.status_code == 504 or "timeout_exception" in str(error.body) or "Time exceeded" in str(error.body):
                raise DeadlineExceeded("the search took too long") from None
            raise
        found: Json = answer.body
        if found.get("timed_out"):
            raise DeadlineExceeded("the search took too long")
        if found.get("_shards", {}).get("failed"):
            raise Unavailable("a part of the search index did not answer; try again", reason="ELASTICSEARCH_ERROR")
        return found

    @asynccontextmanager
    async def snapshot(self, alias: str) -> AsyncIterator[str]:
        """A point in time over an index; closed in every case."""
        pit = (
            await self._client.open_point_in_time(
                index=alias, keep_alive=PIT_KEEP_ALIVE, allow_partial_search_results=False
            )
        )["id"]
        try:
            yield pit
        finally:
            # The caller may be cancelled once more while this runs.
            await asyncio.shield(self._close(pit))

    async def refresh(self, alias: str) -> None:
        """Makes searchable what has been indexed."""
        await self._client.indices.refresh(index=alias)

    async def _close(self, pit: str) -> None:
        try:
            await self._client.options(ignore_status=404).close_point_in_time(id=pit)
        except Exception as error:  # noqa: BLE001 - it ends by itself then
            log.warning("a point in time could not be closed", error=repr(error))


def _time(seconds: float) -> str:
    # Whole seconds, so that equal searches stay equal for the engine's cache.
    return f"{math.ceil(seconds)}s" if seconds >= 1 else f"{max(1, int(seconds * 1000))}ms"
