"""How many calls of each kind the write service runs at once. A write holds a connection while it waits for another's lock, so the places
of a kind are its connections: those who wait for a lock keep nobody of another kind waiting, nor do those of one client all others.
"""

from connectra_common.server.bulkheads import REFLECTION, Bound, Bulkhead, BulkheadOf, by_method

from connectra_write.connections import Connections

# Of the places of a kind, for one client.
CLIENT_SHARE = 0.75


def bulkheads(connections: Connections) -> BulkheadOf:
    """Those of the write service."""
    singles = Bulkhead("writes", Bound.shared(connections.singles.most, CLIENT_SHARE, waiting=64))
    # A request that waits has up to 6 MiB.
    bulks = Bulkhead("bulk writes", Bound.shared(connections.bulks.most, CLIENT_SHARE, waiting=12, patience_seconds=10))
    imports = Bulkhead(
        "import batches", Bound.shared(connections.imports.most, CLIENT_SHARE, waiting=32, patience_seconds=10)
    )
    # A rebuild and a verification of each index, and a look at how they go.
    index = Bulkhead("calls about the index", Bound(process=8, client=6))
    records = [f"{verb}{noun}" for verb in ("Create", "Update", "Delete", "Upsert") for noun in ("Company", "Contact")]
    return by_method(
        {
            singles: records,
            bulks: ("BatchUpsertCompanies", "BatchUpsertContacts", "BatchUpsertRows"),
            imports: ("ImportBatch", "GetImportProgress"),
            index: (
                *("GetIndexStatus", "ListDeadLetters", "ReplayDeadLetters", "Reindex", "RollbackIndex"),
                *("DropPreviousIndex", "Verify", REFLECTION),
            ),
        }
    )
