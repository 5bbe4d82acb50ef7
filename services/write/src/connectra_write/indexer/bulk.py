"""Raw `_bulk` requests, and Elasticsearch's answer to each of their items."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from elasticsearch import ApiError, AsyncElasticsearch
from prometheus_client import Counter

REJECTED = Counter(
    "connectra_elasticsearch_rejected_items_total", "Items of bulk requests not taken, by HTTP status.", ["status"]
)

# A request is cut here: Elasticsearch takes 100 MB at most, and less at a time is easier on its heap.
MAX_CHARS = 8_000_000


@dataclass(frozen=True, slots=True)
class Document:
    """A record as it is to be in the index; `source` is JSON, or None if the document is to be deleted."""

    uuid: str
    version: int
    source: str | None

    def action(self, alias: str) -> str:
        """Its lines of a bulk body. The version decides, not the time of arrival: older ones are refused with 409."""
        # A uuid that came by plain SQL may be any text.
        meta = f'"_index":"{alias}","_id":{_quoted(self.uuid)},"version":{self.version},"version_type":"external_gte"'
        return f'{{"delete":{{{meta}}}}}' if self.source is None else f'{{"index":{{{meta}}}}}\n{self.source}'


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one item."""

    status: int
    type: str = ""
    reason: str = ""

    @property
    def done(self) -> bool:
        """The index has it; 404 is the deletion of a document that is not there."""
        return self.status < 300 or (self.status == 404 and not self.type)

    @property
    def conflict(self) -> bool:
        """The index has a newer version."""
        return self.status == 409

    @property
    def taken(self) -> bool:
        """The index takes documents, and this one if it is newer."""
        return self.done or self.conflict

    @property
    def refused(self) -> bool:
        """The document itself is wrong. Anything else (a missing index, a full disk, a full queue) may pass."""
        return self.status in (400, 413)


async def send(search: AsyncElasticsearch, actions: Sequence[str]) -> list[Result]:
    """Sends actions; one result each, in order. Only to aliases: a missing index is never made by a write.

    Raises:
        ApiError, TransportError: none of the remaining actions was taken, and no document is at fault.
    """
    results: list[Result] = []
    for part in _parts(actions):
        results += await _send(search, part)
    return results


async def _send(search: AsyncElasticsearch, actions: Sequence[str]) -> list[Result]:
    try:
        answer = await search.perform_request(
            "POST",
            "/_bulk?require_alias=true"
            "&filter_path=items.*.status,items.*.error.type,items.*.error.reason,items.*.error.caused_by.reason",
            headers={"content-type": "application/x-ndjson", "accept": "application/json"},
            body=("\n".join(actions) + "\n").encode(),
            endpoint_id="bulk",
        )
    except ApiError as error:
        # One item that cannot be read (an id of 600 bytes) fails the whole request: halve it until that item is alone.
        if error.status_code not in (400, 413):
            raise
        if len(actions) == 1:
            return [Result(error.status_code, "request", _reason(error.body))]
        half = len(actions) // 2
        return [*await _send(search, actions[:half]), *await _send(search, actions[half:])]
    results = [_result(next(iter(item.values()))) for item in answer.body["items"]]
    for result in results:
        if not result.taken:
            REJECTED.labels(result.status).inc()
    return results


def _parts(actions: Sequence[str]) -> Iterator[Sequence[str]]:
    start = size = 0
    for number, action in enumerate(actions):
        if number > start and size + len(action) > MAX_CHARS:
            yield actions[start:number]
            start, size = number, 0
        size += len(action)
    if start < len(actions):
        yield actions[start:]


def _result(item: dict[str, Any]) -> Result:
    error = item.get("error") or {}
    reasons = (error.get("reason"), (error.get("caused_by") or {}).get("reason"))
    return Result(item["status"], error.get("type", ""), ": ".join(filter(None, reasons)))


def _reason(body: Any) -> str:
    error = body.get("error") if isinstance(body, dict) else None
    return str(error.get("reason") if isinstance(error, dict) else error or body)


def _quoted(text: str) -> str:
    return orjson.dumps(text).decode()
