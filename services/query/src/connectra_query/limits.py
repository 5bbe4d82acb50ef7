"""What one call of the query service may ask for, and for how long."""

from dataclasses import dataclass, field

from connectra_common.vql.limits import Limits as VqlLimits


@dataclass(frozen=True, slots=True)
class Limits:
    """`main` passes one to the service."""

    vql: VqlLimits = field(default_factory=VqlLimits)
    batch_uuids: int = 1_000
    # How long a query waits for the write named by its token.
    consistency_seconds: float = 5.0
    # A read that only the database answers.
    read_seconds: float = 30.0
