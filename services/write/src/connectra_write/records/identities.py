"""Which stored record a candidate means (docs/identity.md), for one record and for batches alike: pure, over what was read before.

A candidate is taken for the record of its given uuid; else for the one that has its first key, else its second; else for the one whose uuid
is that of its recipe, unless its keys are others; else it is new.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from connectra_common.records import ids, keys
from connectra_common.records.fields import Entity
from connectra_common.records.identity import Candidate, Record
from connectra_common.records.keys import Key
from connectra_common.refusals import SeveralRecords

# Holders of one key that are read. Nobody upserts by a key that more have.
MAX_HOLDERS = 100


@dataclass(frozen=True, slots=True)
class Known:
    """A stored record.

    Args:
        columns: the fields of `keys.FIELDS` as they are stored.
        keys: those of them that identify it, by kind; a company's domain only if a caller gave it.
    """

    id: int
    uuid: str
    deleted: bool
    columns: tuple[str | None, str | None]
    keys: Mapping[str, Key]


class Claim(NamedTuple):
    """A candidate, and the keys its caller gave."""

    candidate: Candidate
    keys: tuple[Key, ...]

    @classmethod
    def of(cls, entity: Entity, candidate: Candidate) -> "Claim":
        """With its keys in compared form."""
        return cls(candidate, keys.of(entity, candidate))


class Found(NamedTuple):
    """The record that a claim means. `key`: the one by which it was found, if it was."""

    uuid: str
    key: Key | None = None


class KeyChange(NamedTuple):
    """Keys that a record gets and loses, as numbers."""

    made: Sequence[int]
    gone: Sequence[int]


NO_CHANGE = KeyChange((), ())


@dataclass(slots=True)
class _State:
    """A record as it is after the claims so far."""

    live: bool
    keys: dict[str, Key] = field(default_factory=dict)


class Identities:
    """Records by uuid and key, as they are after each claim.

    Args:
        known: all stored records with a uuid or a key of the claims.
        asked: the uuids that were looked for, whether there is a record or not.
        by: kinds of keys by which a claim finds a record.
    """

    def __init__(self, entity: Entity, known: Iterable[Known], asked: Collection[str], by: Collection[str]) -> None:
        self._entity, self.asked, self.by = entity, frozenset(asked), by
        self.stored = {record.uuid: record for record in known}
        # uuids that turned out to matter and were not looked for: what was found is not final.
        self.unknown: set[str] = set()
        self._states: dict[str, _State] = {}
        self._holders: dict[Key, list[str]] = {}
        for record in sorted(self.stored.values(), key=lambda record: record.id):
            self._states[record.uuid] = _State(not record.deleted, dict(record.keys))
            for key in record.keys.values():
                self._holders.setdefault(key, []).append(record.uuid)

    def find(self, claim: Claim) -> Found:
        """The record that a claim means, which may be a new one.

        Raises:
            SeveralRecords: several live records have the key.
        """
        if claim.candidate.uuid:
            return Found(self._look(claim.candidate.uuid))
        for key in claim.keys:
            if key.kind in self.by and (holders := self._holders.get(key)):
                live = self.live_holders(key)
                if len(live) > 1 or len(holders) > MAX_HOLDERS:
                    name = keys.field(self._entity, key)
                    raise SeveralRecords(self._entity, name, key.value, live or holders)
                return Found(live[0] if live else holders[0], key)
        return Found(self._by_recipe(claim))

    def put(self, uuid: str, claim: Claim, *, afresh: bool = False) -> Record:
        """Notes that a claim is laid over a record; the values that are to be stored.

        A value that was computed does not replace one that was given.

        Args:
            afresh: nothing is kept of what the record was.
        """
        state = self._states.setdefault(uuid, _State(live=True))
        state.live = True
        for kind, key in list(state.keys.items()) if afresh else ():
            self._move(uuid, state, kind, key, None)
        values, given = claim.candidate.values, {key.kind: key for key in claim.keys}
        for kind, name in keys.FIELDS[self._entity]:
            if name not in values:
                continue
            before = state.keys.get(kind)
            if name in claim.candidate.derived:
                if before is not None:
                    values = {other: value for other, value in values.items() if other != name}
                continue
            if (now := given.get(kind)) != before:
                self._move(uuid, state, kind, before, now)
        return values

    def is_known(self, uuid: str) -> bool:
        """Whether there is such a record by now, if only a deleted one."""
        return uuid in self._states

    def is_live(self, uuid: str) -> bool:
        """Whether there is such a record by now that is not deleted."""
        return uuid in self._states and self._states[uuid].live

    def live_holders(self, key: Key, but: str = "") -> list[str]:
        """The live records that have a key by now, the oldest first."""
        return [uuid for uuid in self._holders.get(key, ()) if uuid != but and self._states[uuid].live]

    def key_change(self, uuid: str) -> KeyChange:
        """What the claims so far have changed in the keys of a record."""
        before = set(self.stored[uuid].keys.values()) if uuid in self.stored else set[Key]()
        now = set(self._states[uuid].keys.values())
        return KeyChange(self._numbers(now - before), self._numbers(before - now))

    def _numbers(self, of: Iterable[Key]) -> list[int]:
        return [keys.number(self._entity, key) for key in of]

    def _move(self, uuid: str, state: _State, kind: str, before: Key | None, now: Key | None) -> None:
        if before is not None:
            self._holders[before].remove(uuid)
            del state.keys[kind]
        if now is not None:
            self._holders.setdefault(now, []).append(uuid)
            state.keys[kind] = now

    def _look(self, uuid: str) -> str:
        if uuid not in self._states and uuid not in self.asked:
            self.unknown.add(uuid)
        return uuid

    def _by_recipe(self, claim: Claim) -> str:
        assert claim.candidate.recipe is not None
        uuid = self._look(claim.candidate.recipe)
        text = claim.candidate.recipe_text or uuid
        # Its recipe is that of somebody else: the next uuid is made of the keys as well, and is the same whenever they come again.
        while uuid in self._states and self._contradicts(self._states[uuid], claim.keys):
            text = "\n".join((text, *(key.value for key in claim.keys)))
            uuid = self._look(ids.uuid5(text))
        return uuid

    @staticmethod
    def _contradicts(state: _State, given: Sequence[Key]) -> bool:
        return any(state.keys.get(key.kind, key) != key for key in given)
