"""What one call of the query service may ask for, and for how long."""

from dataclasses import dataclass, field

from connectra_common.vql.limits import Limits as VqlLimits


@dataclass(frozen=True, slots=True)
class AggregateLimits:
    """An aggregation within these takes a bounded part of the engine's memory, whatever the data."""

    group_by: int = 2
    group_size: int = 1_000
    default_group_size: int = 10
    # Ranges and periods; known once the least and the greatest value are.
    ranges: int = 1_000
    # Innermost groups.
    groups: int = 10_000
    cardinality: int = 5
    percentiles: int = 3
    percents: int = 10
    # Of cardinality and percentiles, in all groups together.
    measures: int = 1_000
    # Records shown: of a group, and of all together.
    hits: int = 10
    rows: int = 1_000
    hit_order: int = 5


@dataclass(frozen=True, slots=True)
class SuggestLimits:
    """Of what a search box asks with every key."""

    text_chars: int = 100
    fields: int = 10
    limit: int = 50
    default_limit: int = 10
    # That are counted for a field, of each shard: how many records have a frequent letter does not matter.
    records: int = 100_000


@dataclass(frozen=True, slots=True)
class Limits:
    """`main` passes one to the service."""

    vql: VqlLimits = field(default_factory=VqlLimits)
    batch_uuids: int = 1_000
    # How long a query waits for the write named by its token.
    consistency_seconds: float = 5.0
    # A read that only the database answers.
    read_seconds: float = 30.0
