"""What an import reads: the text of an object, unpacked when it is a gzip file, from any offset on."""

import asyncio
import zlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from connectra_common.storage.s3 import ObjectStore

from connectra_jobs.worker import objects
from connectra_jobs.worker.attempt import Attempt
from connectra_jobs.worker.csv_stream import UnreadableFile
from connectra_jobs.worker.objects import Source

GZIP = b"\x1f\x8b"
ZIP = b"PK\x03\x04"
UNPACKED_BYTES = 4 * 1024 * 1024


@dataclass
class Content:
    """An object as text.

    Args:
        packed: it is a gzip file, known by its first bytes whatever its name.
        position: bytes of the object read so far.
    """

    attempt: Attempt
    s3: ObjectStore
    source: Source
    packed: bool
    position: int = 0

    async def read(self, offset: int) -> AsyncGenerator[bytes]:
        """The text from an offset on. A gzip file cannot be entered in the middle: it is unpacked from its beginning, and
        what comes before the offset is dropped.

        Raises:
            UnreadableFile: a gzip file that is damaged or cut off.
            JobFailed: the object was replaced or removed meanwhile.
        """
        stream = self._unpacked() if self.packed else self._raw(offset)
        skip = offset if self.packed else 0
        async with aclosing(stream) as pieces:
            async for piece in pieces:
                if skip < len(piece):
                    yield piece[skip:]
                skip = max(0, skip - len(piece))

    async def _raw(self, offset: int) -> AsyncGenerator[bytes]:
        self.position = offset
        async with aclosing(objects.read(self.attempt, self.s3, self.source, offset)) as pieces:
            async for piece in pieces:
                self.position += len(piece)
                yield piece

    async def _unpacked(self) -> AsyncGenerator[bytes]:
        member = zlib.decompressobj(zlib.MAX_WBITS | 16)
        begun = False
        async with aclosing(self._raw(0)) as pieces:
            async for piece in pieces:
                rest = piece
                while rest:
                    if member.eof:  # members in a row make one file; zeros after the last are padding
                        rest = rest if begun else rest.lstrip(b"\0")
                        if not rest:
                            break
                        member, begun = zlib.decompressobj(zlib.MAX_WBITS | 16), False
                    try:
                        # In a thread: other jobs go on meanwhile.
                        text = await asyncio.to_thread(member.decompress, rest, UNPACKED_BYTES)
                    except zlib.error:
                        at = f"near byte {self.position - len(rest)}"
                        raise UnreadableFile(f"the gzip file is damaged {at}: it cannot be unpacked") from None
                    begun = not member.eof
                    rest = member.unused_data if member.eof else member.unconsumed_tail
                    if text:
                        yield text
        if not member.eof:
            raise UnreadableFile("the gzip file ends too early: a part of it is missing")


async def open_content(attempt: Attempt, s3: ObjectStore, source: Source) -> Content:
    """Looks at the first bytes.

    Raises:
        UnreadableFile: another kind of archive.
    """
    first = b""
    async with aclosing(objects.read(attempt, s3, source, 0)) as pieces:
        async for piece in pieces:
            first += piece
            if len(first) >= len(ZIP):
                break
    if first.startswith(ZIP):
        raise UnreadableFile("the file is a ZIP archive or a spreadsheet; save the table as CSV and import that")
    return Content(attempt, s3, source, first.startswith(GZIP))
