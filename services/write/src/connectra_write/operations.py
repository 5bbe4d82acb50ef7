"""Operations on an index: rows of `index_operations` (docs/adr/0032). The write service adds them and tells how they go; indexers carry
them out, whether or not anybody waits for them.

    rebuild    waiting ─▶ building ─▶ comparing ─▶ switching ─▶ done       a new index goes live, the old one is kept
    rollback   waiting ─▶ building ─▶ comparing ─▶ switching ─▶ done       the kept index goes live again
    verify     waiting ─▶ walking ─▶ done                                  one comparison of database and index
    check      walking                                                     the same in the background, round after round
    drop_previous  waiting ─▶ done                                         the kept index is removed

Any of them may end as `aborted`. While one of the first two is held, for the reason it gives, it does nothing until it is asked for again
or aborted. At most one of the operations that change what the alias means is under way for an entity, and one of each that do not.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson
from asyncpg import Record


class Kind(StrEnum):
    """What is to be done."""

    REBUILD = "rebuild"
    ROLLBACK = "rollback"
    DROP_PREVIOUS = "drop_previous"
    VERIFY = "verify"
    CHECK = "check"


class Phase(StrEnum):
    """How far it has come."""

    WAITING = "waiting"
    BUILDING = "building"
    COMPARING = "comparing"
    SWITCHING = "switching"
    WALKING = "walking"
    DONE = "done"
    ABORTED = "aborted"


# Of these, one at a time.
CHANGES = (Kind.REBUILD, Kind.ROLLBACK, Kind.DROP_PREVIOUS)


@dataclass(frozen=True, slots=True)
class Operation:
    """One of them, as its row says.

    Args:
        held: it waits to be asked for again, or to be aborted.
        abort: somebody wants it to end.
        asked: what was asked for, by name.
        found: what a verification has found so far.
        index_name: the index that is to go live, or has; "" for operations that build none.
        previous: the index that was live before, or "".
        after_uuid: how far it has walked.
        reason: what it waits for, or why it is held or was aborted.
    """

    id: int
    entity: str
    kind: Kind
    phase: Phase
    held: bool
    abort: bool
    asked: Mapping[str, Any]
    found: Mapping[str, Any]
    index_name: str
    previous: str
    after_uuid: str
    documents_done: int
    documents_total: int
    reason: str
    actor: str
    request_id: str

    @classmethod
    def of(cls, row: Record) -> "Operation":
        """Of a row of COLUMNS."""
        read = {**dict(row), "kind": Kind(row["kind"]), "phase": Phase(row["phase"])}
        return cls(**read | {name: orjson.loads(row[name]) for name in ("asked", "found")})

    @property
    def has_ended(self) -> bool:
        """Nothing more becomes of it."""
        return self.phase in (Phase.DONE, Phase.ABORTED)

    @property
    def operated(self) -> str:
        """What the audit trail calls it."""
        return {Kind.VERIFY: "repair", Kind.REBUILD: "reindex"}.get(self.kind, self.kind.value)

    @property
    def is_recorded(self) -> bool:
        """The audit trail has it: to compare changes nothing, and reveals nothing of the records."""
        return self.kind in CHANGES or bool(self.asked.get("repair"))


COLUMNS = """id, entity, kind, phase, held, abort, asked, found, coalesce(index_name, '') AS index_name,
             coalesce(previous, '') AS previous, after_uuid, documents_done, documents_total, reason, actor, request_id"""


@dataclass(frozen=True, slots=True)
class Check:
    """What the comparison that never ends knows about an index.

    Args:
        compared: records, in the last complete round; in the first one, so far.
        differing: those whose documents were wrong, in that round or the one under way. They are repaired.
        oldest_seconds: every record has been compared within this time; in the first round, some may never have been.
    """

    compared: int
    differing: int
    oldest_seconds: float

    @classmethod
    def of(cls, check: Operation) -> "Check":
        """As of now."""
        current = check.found.get("round", {"began": time.time(), "differing": 0})
        last = check.found.get("last", {**current, "compared": check.documents_done})
        return cls(last["compared"], max(last["differing"], current["differing"]), time.time() - last["began"])


# The last change of an entity, $1, that was done. Its `previous` is the index that is kept.
LAST_CHANGE = """
    WHERE entity = $1 AND kind IN ('rebuild', 'rollback', 'drop_previous') AND phase = 'done' ORDER BY id DESC LIMIT 1"""
