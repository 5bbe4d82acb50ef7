"""How many calls of each kind the jobs service runs at once."""

from connectra_common.server.bulkheads import REFLECTION, Bound, Bulkhead, BulkheadOf, by_method

# They need the database alone, and are short.
CALLS = Bound(process=64, client=32, waiting=64)
# They wait for the object store, or read files there.
FILES = Bound(process=32, client=16, waiting=16)
# Each looks at its job twice a second for as long as it lasts.
STREAMS = Bound(process=128, client=32)


def bulkheads() -> BulkheadOf:
    """Those of the jobs service."""
    calls = Bulkhead("calls", CALLS)
    files = Bulkhead("calls about files", FILES)
    streams = Bulkhead("streams", STREAMS)
    uploads = ("CreateUpload", "CreateUploadPartUrls", "ListUploadParts", "CompleteUpload", "AbortUpload")
    return by_method(
        {
            calls: ("CreateJob", "ListJobs", "GetJob", "CancelJob", "RetryJob", "CreateUploadUrl"),
            files: ("ListJobFiles", "PreviewImport", *uploads),
            streams: ("WatchJob", REFLECTION),
        }
    )
