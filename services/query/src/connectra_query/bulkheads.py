"""How many calls of each kind the query service runs at once."""

from dataclasses import dataclass

from connectra_common.server.bulkheads import Bound, Bulkhead

from connectra_query.connections import Connections
from connectra_query.settings import BoundSettings

# Of the places of a kind, for one client.
CLIENT_SHARE, CLIENT_SHARE_OF_STREAMS = 0.5, 0.25
# They need the database alone, and are short.
READS = Bound(process=64, client=32, waiting=64)
# A waiting call holds nothing but its place in memory, so there are places enough that a few clients never take them all.
WAITERS = Bound(process=1024, client=128, waiting=64)


@dataclass(frozen=True, slots=True)
class Bulkheads:
    """Those of the query service.

    Args:
        searches: pages and counts, which Elasticsearch answers.
        reads: records by uuid, their histories, and the filters.
        values: pages of a filter's values; a search in many of them may take a connection for half a minute.
        streams: walks through all that match.
        exports: files of all that match, some pages of each made ahead.
        waiters: those who wait until the index has a write, before they take a place of another kind.
    """

    searches: Bulkhead
    reads: Bulkhead
    values: Bulkhead
    streams: Bulkhead
    exports: Bulkhead
    waiters: Bulkhead

    @classmethod
    def of(cls, settings: BoundSettings, connections: Connections) -> "Bulkheads":
        """By the settings, and by how many connections there are."""
        values = _value_places(connections)
        return cls(
            Bulkhead("searches", Bound.shared(settings.searches, CLIENT_SHARE, waiting=64)),
            Bulkhead("reads", READS),
            Bulkhead("lists of filter values", Bound.shared(values, CLIENT_SHARE, waiting=32)),
            Bulkhead("streams", Bound.shared(settings.streams, CLIENT_SHARE_OF_STREAMS)),
            Bulkhead("exports", Bound.shared(settings.exports, CLIENT_SHARE_OF_STREAMS)),
            Bulkhead("waits for a consistency token", WAITERS),
        )


def engine_connections(settings: BoundSettings, connections: Connections) -> int:
    """What all calls together ask of Elasticsearch at once, so that none waits for a connection of another: two pages for each export, and
    some more to refresh and to look whether it answers.
    """
    return settings.searches + settings.streams + 2 * settings.exports + _value_places(connections) + 8


def _value_places(connections: Connections) -> int:
    return max(1, connections.pages.most // 2)
