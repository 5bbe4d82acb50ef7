"""Tells an index that takes no documents from documents that it will never take.

A document that is refused is at fault only where others are taken. While an index takes none, or refuses many alike, indexing of its
entity pauses: nothing is buried, and a few documents every now and then find out whether it goes on.
"""

import time
from collections import Counter as Count
from collections.abc import Iterable, Sequence

import structlog
from prometheus_client import Gauge

from connectra_write.indexer.bulk import Result

log = structlog.get_logger()

PAUSED = Gauge(
    "connectra_indexer_paused",
    "1 while an index takes no documents, and why; 0 without a reason.",
    ["entity", "reason"],
)

# Errors of an index, never of a document: the documents have just the fields of the catalogue.
_OF_INDEX = {
    "index_closed_exception",
    "index_not_found_exception",
    "strict_dynamic_mapping_exception",
    "cluster_block_exception",
}
_ALIAS = "no write index is defined"
# Documents of one batch that fail alike, and are most of it, are no chance any more.
MANY = 10
PROBE = 5
FIRST_SECONDS, LAST_SECONDS = 0.25, 10.0


class Breaker:
    """Of one entity's index."""

    def __init__(self, entity: str) -> None:
        self._entity = entity
        self._pauses = 0
        self._until = 0.0
        self._reason = ""
        self._show("")

    def limit(self, batch: int) -> int:
        """How many documents may be sent now."""
        if not self._pauses:
            return batch
        return 0 if time.monotonic() < self._until else PROBE

    def judge(self, results: Sequence[Result]) -> bool:
        """Whether those of the results that are failures are the index's fault, so that it pauses.

        Args:
            results: where none of them was taken, those of other records too, which the index has taken before.
        """
        failed = [result for result in results if not result.taken]
        reason = of_index(failed)
        if failed and not reason:
            kind, alike = Count(result.type or str(result.status) for result in failed).most_common(1)[0]
            # Where it takes others, those that it keeps refusing are buried before long.
            are_many = len(failed) >= MANY and alike * 2 > len(results) and not self._pauses
            reason = kind if are_many or len(failed) == len(results) else ""
        if reason:
            self._pause(reason, failed[0].reason)
        elif results:
            self._resume()
        return bool(reason)

    def _pause(self, reason: str, details: str) -> None:
        if self._reason != reason:
            log.error("indexing pauses", entity=self._entity, reason=reason, details=details[:300])
            self._pauses = 0
            self._show(reason)
        self._until = time.monotonic() + min(FIRST_SECONDS * 2 ** min(self._pauses, 10), LAST_SECONDS)
        self._pauses += 1

    def _resume(self) -> None:
        if self._reason:
            log.info("indexing goes on", entity=self._entity, reason=self._reason)
            self._pauses = 0
            self._show("")

    def _show(self, reason: str) -> None:
        PAUSED.remove(self._entity, self._reason)
        PAUSED.labels(self._entity, reason).set(bool(reason))
        self._reason = reason


def of_index(failures: Iterable[Result]) -> str:
    """The error of an index that is among failures, or ""."""
    for result in failures:
        if result.type in _OF_INDEX:
            return result.type
        if _ALIAS in result.reason:
            return "alias_without_write_index"
    return ""
