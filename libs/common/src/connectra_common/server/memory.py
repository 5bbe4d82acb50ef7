"""Gives the memory of large requests back to the system."""

import ctypes
import gc

# Smaller requests leave nothing worth the while.
LARGE_BYTES = 64 * 1024
# Bytes of large requests after which to look.
_EVERY_BYTES = 1024 * 1024

# Of glibc; other libraries do it themselves.
_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)


class Memory:
    """Counts what large requests had. Errors and their frames, which hold the request, are in cycles that the rare collections would
    find late, and glibc keeps what is freed.
    """

    def __init__(self) -> None:
        self._bytes = 0

    def take(self, size: int) -> None:
        """To be called before a request is read."""
        if size < LARGE_BYTES:
            return
        self._bytes += size
        if self._bytes > _EVERY_BYTES:
            self._bytes = 0
            gc.collect()
            if _trim:
                _trim(0)
