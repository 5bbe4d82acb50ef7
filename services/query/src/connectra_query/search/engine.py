"""Calls to Elasticsearch: whole answers in time, or an error. A partial answer is treated as an error."""

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import orjson
import structlog
from connectra_common.call import Call
from connectra_common.errors import DeadlineExceeded, SearchUnavailable
from connectra_common.records.fields import ENTITIES, Entity
from connectra_common.search.mappings import VERSION, WORDS, version_of
from connectra_common.server.process import FAILURES_UNTIL_NOT_READY, passes
from elastic_transport import ApiResponse, ConnectionTimeout
from elasticsearch import ApiError, AsyncElasticsearch, NotFoundError
from elasticsearch.exceptions import HTTP_EXCEPTIONS

from connectra_query.search.compile import OF_FIRST_VERSION, Json

log = structlog.get_logger()

# How long Elasticsearch keeps a point in time after its last page was asked for: longer than a job waits for the object store.
PIT_KEEP_ALIVE = "15m"
# A page of a walk, for which nobody sits and waits: rare matches among tens of millions take longer than a search may.
PAGE_SECONDS = 120.0
# Elasticsearch gives up a little before we do, so that its own error reaches us.
ANSWER_SECONDS = 0.05
_HEADERS = {"accept": "application/json", "content-type": "application/json"}
# Only what is read: the rest would be written, sent and parsed for nothing.
_PATHS = "timed_out,terminated_early,_shards.failed,pit_id,hits.total,hits.hits.sort,hits.hits.highlight,aggregations,suggest"
_QUERY = f"filter_path={_PATHS}&allow_partial_search_results=false"
# Of several searches in one request: the line before each, and with their status, so that each has an answer.
_EACH = orjson.dumps({"allow_partial_search_results": False})
_EACH_PATHS = ",".join(f"responses.{path}" for path in (*_PATHS.split(","), "status", "error"))
_EACH_QUERY = f"filter_path={_EACH_PATHS}"
# The aggregation that tells which version of the index has answered.
_FIRST = "of_first_version"


class Search:
    """Searches within the time that a call has left, `most_seconds` at most each; pages of a walk have `PAGE_SECONDS`."""

    def __init__(self, client: AsyncElasticsearch, most_seconds: float) -> None:
        self._client = client
        # `run` has a clock of its own; with that of the client a request costs a tenth more.
        self._searching = client.options(request_timeout=None, headers=_HEADERS)
        self._most = most_seconds
        self._failures = 0
        self._versions: dict[str, int] = {}

    def version(self, entity: Entity) -> int:
        """The version of an entity's index, as of at most a second ago."""
        return self._versions.get(entity.alias, VERSION)

    async def ping(self) -> None:
        """Raises when Elasticsearch does not answer."""
        await self._client.info()

    async def look(self) -> None:
        """Finds out whether Elasticsearch answers at all, to be called again and again. While it does not, what needs it fails at once
        instead of after the time that it may take.
        """
        failures = 0 if await passes(self._see) else self._failures + 1
        if (failures >= FAILURES_UNTIL_NOT_READY) != self._is_away:
            log.info("search engine", answers=failures == 0)
        self._failures = failures

    async def _see(self) -> None:
        aliases = ",".join(entity.alias for entity in ENTITIES.values())
        found = await self._client.options(ignore_status=404).indices.get_alias(name=aliases)
        for name, index in found.body.items():
            # Without any index the answer is an error.
            for alias in index["aliases"] if isinstance(index, dict) and "aliases" in index else ():
                self._versions[alias] = version_of(name)

    @property
    def _is_away(self) -> bool:
        return self._failures >= FAILURES_UNTIL_NOT_READY

    def _expect_answer(self) -> None:
        if self._is_away:
            raise SearchUnavailable("the search engine cannot be reached; try again")

    async def run_on_version(self, entity: Entity, body: Callable[[int], Json], call: Call) -> Json:
        """The answer to a body that is made for a version of the index; see `run_each_on_version`."""
        (answer,) = await self.run_each_on_version(entity, lambda version: [body(version)], call)
        return answer

    async def run_each_on_version(
        self, entity: Entity, bodies: Callable[[int], Sequence[Json]], call: Call
    ) -> Sequence[Json]:
        """The answers to bodies that are made for a version of the index. Since that was looked at, the alias may have been given to an
        index of another one: an aggregation tells whether it was of the first, which is asked again for what it has. Raises as `run`.
        """
        version = self.version(entity)
        asked = bodies(version)
        if version < WORDS:
            return await self._run_each(entity.alias, asked, call)
        telling = [
            {**b, "aggs": {**b["aggs"], _FIRST: {"filter": OF_FIRST_VERSION}}} if "aggs" in b else b for b in asked
        ]
        answers = await self._run_each(entity.alias, telling, call)
        if not any(a.get("aggregations", {}).get(_FIRST, {}).get("doc_count") for a in answers):
            return answers
        self._versions[entity.alias] = version = 1
        return await self._run_each(entity.alias, bodies(version), call)

    async def run(self, alias: str | None, body: Json, call: Call, most_seconds: float | None = None) -> Json:
        """The answer to a search body; `alias` None when the body names a point in time.

        Raises:
            DeadlineExceeded: not within the call's time.
            SearchUnavailable: it, or a part of the index, does not answer.
        """
        seconds = call.seconds(most_seconds or self._most)
        path = f"/{alias}/_search" if alias else "/_search"
        answer = await self._post(f"{path}?{_QUERY}", orjson.dumps({**body, "timeout": _time(seconds)}), seconds)
        return _whole(answer.body)

    async def _run_each(self, alias: str, bodies: Sequence[Json], call: Call) -> Sequence[Json]:
        """The answers to several bodies, on which the engine works side by side. Raises as `run`."""
        if len(bodies) == 1:
            return [await self.run(alias, bodies[0], call)]
        seconds = call.seconds(self._most)
        bodies = [{**body, "timeout": _time(seconds)} for body in bodies]
        lines = [line for body in bodies for line in (_EACH, orjson.dumps(body))]
        answer = await self._post(f"/{alias}/_msearch?{_EACH_QUERY}", b"\n".join([*lines, b""]), seconds)
        for one in answer.body["responses"]:
            if error := one.get("error"):
                meta = replace(answer.meta, status=one["status"])
                raise _meaning(HTTP_EXCEPTIONS.get(meta.status, ApiError)(str(error["type"]), meta, one))
        return [_whole(one) for one in answer.body["responses"]]

    async def _post(self, target: str, body: bytes, seconds: float) -> ApiResponse[Any]:
        self._expect_answer()
        try:
            async with asyncio.timeout(seconds + ANSWER_SECONDS):
                return await self._searching.perform_request("POST", target, body=body, endpoint_id="search")
        except (TimeoutError, ConnectionTimeout):
            raise DeadlineExceeded("the search took too long") from None
        except ApiError as error:
            raise _meaning(error) from None

    @asynccontextmanager
    async def snapshot(self, alias: str) -> AsyncIterator["Snapshot"]:
        """An index as of now; closed in every case."""
        self._expect_answer()
        opened = await self._client.open_point_in_time(
            index=alias, keep_alive=PIT_KEEP_ALIVE, allow_partial_search_results=False
        )
        snapshot = Snapshot(self, opened["id"])
        try:
            yield snapshot
        finally:
            # The caller may be cancelled once more while this runs.
            await asyncio.shield(self._close(snapshot.id))

    async def refresh(self, alias: str) -> None:
        """Makes searchable what has been indexed."""
        self._expect_answer()
        await self._client.indices.refresh(index=alias)

    async def _close(self, pit: str) -> None:
        try:
            await self._client.options(ignore_status=404).close_point_in_time(id=pit)
        except Exception as error:  # noqa: BLE001 - it expires
            log.warning("a point in time could not be closed", error=repr(error))


class Snapshot:
    """An index as of one moment: a point in time of Elasticsearch. Several may walk through it at once."""

    def __init__(self, search: Search, pit: str) -> None:
        self._search = search
        self.id = pit

    async def pages(self, body: Json, call: Call) -> AsyncGenerator[list[Json]]:
        """All hits of a search body in its order, its `size` at a time.

        Raises:
            DeadlineExceeded: not within the call's time.
            SearchUnavailable: a part of the index did not answer, or the point in time is lost; the walk can only begin again.
        """
        after: Json = {}
        while True:
            pit = {"id": self.id, "keep_alive": PIT_KEEP_ALIVE}
            try:
                answer = await self._search.run(None, {**body, **after, "pit": pit}, call, PAGE_SECONDS)
            except NotFoundError:
                # The node that held it was restarted, or it expired.
                raise SearchUnavailable("the search engine lost the view of the index; ask again") from None
            self.id, hits = answer["pit_id"], answer.get("hits", {}).get("hits", [])
            if hits:
                yield hits
            if len(hits) < body["size"]:
                return
            after = {"search_after": hits[-1]["sort"]}


def _meaning(error: ApiError) -> Exception:
    # Elasticsearch words it by where the time ran out.
    if error.status_code == 504 or "timeout_exception" in str(error.body) or "Time exceeded" in str(error.body):
        return DeadlineExceeded("the search took too long")
    return error


def _whole(answer: Json) -> Json:
    if answer.get("timed_out"):
        raise DeadlineExceeded("the search took too long")
    if answer.get("_shards", {}).get("failed"):
        raise SearchUnavailable("a part of the search index did not answer; try again")
    return answer


def _time(seconds: float) -> str:
    # Whole seconds, so that equal searches stay equal for the engine's cache.
    return f"{math.ceil(seconds)}s" if seconds >= 1 else f"{max(1, int(seconds * 1000))}ms"
