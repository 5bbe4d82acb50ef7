"""What the columns of a file mean."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from connectra_common.records.cleaning import clean, lower
from connectra_common.records.fields import csv_columns


class NoKnownColumn(ValueError):
    """A header without any known column."""


class DuplicateColumn(ValueError):
    """A header with a known column twice."""


def column_name(cell: str) -> str:
    """Name of a header cell, whatever its case, spaces and byte order mark."""
    return lower(clean(cell)).replace(" ", "_")


@dataclass(frozen=True)
class Columns:
    """The columns of a file.

    Args:
        headers: the cells of the header, as written.
        targets: what each of them fills: the name of a CSV column of the field catalogue, or None for nothing.
    """

    headers: tuple[str, ...]
    targets: tuple[str | None, ...]

    @property
    def positions(self) -> dict[str, int]:
        """Where each target is filled from."""
        return {target: position for position, target in enumerate(self.targets) if target}

    @property
    def unknown(self) -> tuple[str, ...]:
        """Headers that fill nothing."""
        return tuple(header for header, target in zip(self.headers, self.targets, strict=True) if target is None)

    @classmethod
    def read(cls, headers: Sequence[str], given: Mapping[str, str | None] | None = None) -> "Columns":
        """Finds out what the columns mean.

        Args:
            headers: the cells of the header.
            given: targets by header that somebody decided; None: the column is not used.

        Raises:
            NoKnownColumn, DuplicateColumn.
        """
        known, decided = csv_columns(), {column_name(header): target for header, target in (given or {}).items()}
        targets: list[str | None] = []
        for header in headers:
            name = column_name(header)
            target = decided.get(name, name if name in known else None)
            if target and target in targets:
                raise DuplicateColumn(f"the header has the column {target!r} twice")
            targets.append(target)
        if not any(targets):
            raise NoKnownColumn(f"no known column in the header; known are {', '.join(sorted(known))}")
        return cls(tuple(headers), tuple(targets))
