"""What the parts write, read as entries: each has its own form, some of several lines."""

import json
import re
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from operator import itemgetter
from pathlib import Path
from typing import Any

from connectra_local.processes import tail

POLL = 0.2


class Level(StrEnum):
    """How grave an entry is, in ascending order."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"

    def reaches(self, least: "Level") -> bool:
        """Whether it is at least as grave as another."""
        order = list(Level)
        return order.index(self) >= order.index(least)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry.

    Args:
        part: whose.
        at: when; None where that is not written.
        level: info where none is written.
        event: its text, in one line or several.
        more: other members of a structured entry.
    """

    part: str
    at: datetime | None
    level: Level
    event: str
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """Text and other members, in the lines that they have."""
        values = {name: _plain(value) for name, value in self.more.items() if value not in (None, "", "-", {}, [])}
        said = " ".join(f"{name}={value}" for name, value in values.items() if "\n" not in value)
        blocks = [value.rstrip() for value in values.values() if "\n" in value]
        return "\n".join([f"{self.event}  {said}".rstrip(), *blocks])

    @property
    def record(self) -> dict[str, Any]:
        """As JSON has it: of a structured entry all members as they are written."""
        at = self.at and self.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {"timestamp": at, "part": self.part, "level": self.level, "event": self.event, **self.more}


# What has a place of its own, or is the same in all entries.
_KNOWN = ("timestamp", "level", "event", "part", "env", "process")
# As Envoy, Elasticsearch and PostgreSQL have them; others are information.
_LEVELS = {
    **{level.value: level for level in Level},
    **dict.fromkeys(("trace", *(f"debug{number}" for number in range(1, 6))), Level.DEBUG),
    **dict.fromkeys(("warn", "w"), Level.WARNING),
    **dict.fromkeys(("critical", "fatal", "panic", "e", "f"), Level.ERROR),
}
_FORMS = (
    # PostgreSQL, in UTC; Elasticsearch; SeaweedFS, both in the time of the machine; the supervisor.
    re.compile(r"(?P<at>\d{4}-\d\d-\d\d [\d:]{8}\.\d+) (?P<utc>UTC) \[\d+\] (?P<level>[A-Z0-9]+):\s+(?P<event>.*)"),
    re.compile(r"\[(?P<at>\d{4}-\d\d-\d\dT[\d:]{8},\d+)\]\[(?P<level>\w+) *\](?P<event>.*)"),
    re.compile(r"(?P<level>[IWEF])(?P<day>\d{4}) (?P<at>[\d:]{8}\.\d+) (?P<event>.*)"),
    re.compile(r"(?P<at>\d{4}-\d\d-\d\dT[\d:]{8})(?P<utc>Z)  (?P<event>.*)"),
)
# What PostgreSQL says about the entry before.
_ABOUT_IT = ("DETAIL", "HINT", "STATEMENT", "CONTEXT", "QUERY", "LOCATION")


def _read(part: str, line: str) -> Entry | None:
    """The entry that a line begins; None if it goes on with the one before."""
    if line.startswith("{"):
        return _structured(part, line)
    for form in _FORMS:
        if not (one := form.match(line)):
            continue
        found = one.groupdict()
        level = found.get("level") or ("error" if " died " in line or " killed: " in line else "info")
        if level in _ABOUT_IT:
            return None
        at = found["at"].replace(",", ".") + ("Z" if found.get("utc") else "")
        if day := found.get("day"):
            at = f"{datetime.now(UTC).year}-{day[:2]}-{day[2:]}T{at}"
        return Entry(part, _moment(at), _LEVELS.get(level.lower(), Level.INFO), found["event"])
    return None


def _structured(part: str, line: str) -> Entry | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    # Of requests the gateway writes no level.
    level = found.get("level") or ("error" if str(found.get("status")).startswith("5") else "info")
    more = {name: value for name, value in found.items() if name not in _KNOWN}
    at = _moment(str(found.get("timestamp")))
    return Entry(part, at, _LEVELS.get(str(level), Level.INFO), str(found.get("event", "")), more)


def _moment(text: str) -> datetime | None:
    """A time, as the machine's clock shows it unless it says otherwise."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return None


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def entries(part: str, lines: Iterable[str]) -> Iterator[Entry]:
    """The entries of these lines. A line of no known form belongs to the entry before it; without one it is an entry."""
    last: Entry | None = None
    for line in lines:
        found = _read(part, line)
        if found is None and last is not None:
            last = Entry(last.part, last.at, last.level, f"{last.event}\n{line.rstrip()}".rstrip(), last.more)
            continue
        if last is not None:
            yield last
        last = found or (Entry(part, None, Level.INFO, line.rstrip()) if line.strip() else None)
    if last is not None:
        yield last


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries are wanted: from a level on, from a moment on (those without one are not, then)."""

    level: Level = Level.DEBUG
    since: datetime | None = None

    @property
    def everything(self) -> bool:
        """Whether all are."""
        return self == Wanted()

    def has(self, entry: Entry) -> bool:
        """Whether this one is."""
        return entry.level.reaches(self.level) and (not self.since or (entry.at is not None and entry.at >= self.since))


def ends(files: Mapping[str, Path], count: int, wanted: Wanted) -> list[Entry]:
    """The last `count` wanted entries of each log, by time; one without a time stays behind the one before it."""
    found: list[tuple[datetime, Entry]] = []
    for part, file in files.items():
        if not file.exists():
            continue
        # What is looked for may be anywhere in it.
        lines = tail(file, count) if wanted.everything else file.read_text(errors="replace").splitlines()
        at = datetime.min.replace(tzinfo=UTC)
        for entry in deque((one for one in entries(part, lines) if wanted.has(one)), maxlen=count):
            at = entry.at or at
            found.append((at, entry))
    return [entry for _, entry in sorted(found, key=itemgetter(0))]


def follow(files: Mapping[str, Path], wanted: Wanted) -> Iterator[Entry]:
    """What is written from now on, as it comes, without end. Lines that are written at once are read as one entry."""
    positions = {part: file.stat().st_size if file.exists() else 0 for part, file in files.items()}
    while True:
        for part, file in files.items():
            size = file.stat().st_size if file.exists() else 0
            if size < positions[part]:  # the log has been rotated
                positions[part] = 0
            if size > positions[part]:
                with file.open("rb") as log:
                    log.seek(positions[part])
                    added = log.read()
                whole = added[: added.rfind(b"\n") + 1]
                positions[part] += len(whole)
                lines = whole.decode(errors="replace").splitlines()
                yield from (one for one in entries(part, lines) if wanted.has(one))
        time.sleep(POLL)
