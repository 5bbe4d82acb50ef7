"""What an import reads: the text of an object in UTF-8, unpacked and from any encoding, from any offset on."""

import asyncio
import re
import zlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field

from connectra_common.storage.s3 import ObjectStore

from connectra_jobs.encodings import UTF_8, Encoding
from connectra_jobs.worker import decoding, objects
from connectra_jobs.worker.decoding import Evidence, NotUtf8
from connectra_jobs.worker.objects import Reading, Source

GZIP = b"\x1f\x8b"
ZIP = b"PK\x03\x04"
UNPACKED_BYTES = 4 * 1024 * 1024
# What is packed tighter than any table is made to fill disks. Small files may be.
MAX_RATIO = 200
ANY_RATIO_BYTES = 256 * 1024 * 1024


def is_bomb(packed: int, unpacked: int) -> bool:
    """Whether so few bytes become so many that it is no table any more."""
    return unpacked > max(ANY_RATIO_BYTES, packed * MAX_RATIO)


class UnreadableFile(ValueError):
    """The file cannot be read as a table; says what is wrong and where."""


@dataclass
class Content:
    """An object as text.

    Args:
        packed: it is a gzip file, known by its first bytes whatever its name.
        position: bytes of the object read so far.
    """

    reading: Reading
    s3: ObjectStore
    source: Source
    packed: bool
    position: int = 0

    async def read(self, offset: int) -> AsyncGenerator[bytes]:
        """The bytes from an offset on, unpacked. A gzip file cannot be entered in the middle: it is unpacked from its beginning, and
        what comes before the offset is dropped.

        Raises:
            UnreadableFile: a gzip file that is damaged, cut off, or made to fill disks.
            JobFailed: the object was replaced or removed meanwhile.
        """
        stream = self._unpacked() if self.packed else self._raw(offset)
        skip = offset if self.packed else 0
        async with aclosing(stream) as pieces:
            async for piece in pieces:
                if skip < len(piece):
                    yield piece[skip:]
                skip = max(0, skip - len(piece))

    def again(self) -> "Content":
        """The same content, to be read on its own."""
        return Content(self.reading, self.s3, self.source, self.packed)

    async def head(self) -> bytes:
        """The first bytes."""
        first = b""
        async with aclosing(self.read(0)) as pieces:
            async for piece in pieces:
                first += piece
                if len(first) >= decoding.HEAD_BYTES:
                    break
        return first[: decoding.HEAD_BYTES]

    async def _raw(self, offset: int) -> AsyncGenerator[bytes]:
        self.position = offset
        async with aclosing(objects.read(self.reading, self.s3, self.source, offset)) as pieces:
            async for piece in pieces:
                self.position += len(piece)
                yield piece

    async def _unpacked(self) -> AsyncGenerator[bytes]:
        member = zlib.decompressobj(zlib.MAX_WBITS | 16)
        begun, unpacked = False, 0
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
                    unpacked += len(text)
                    if is_bomb(self.position, unpacked):
                        raise UnreadableFile(
                            f"the gzip file unpacks to more than {MAX_RATIO} times its size, which no table does; import it unpacked"
                        )
                    if text:
                        yield text
        if not member.eof:
            raise UnreadableFile("the gzip file ends too early: a part of it is missing")


async def open_content(reading: Reading, s3: ObjectStore, source: Source) -> Content:
    """Looks at the first bytes."""
    first = b""
    async with aclosing(objects.read(reading, s3, source, 0)) as pieces:
        async for piece in pieces:
            first += piece
            if len(first) >= len(GZIP):
                break
    return Content(reading, s3, source, first.startswith(GZIP))


@dataclass
class Text:
    """A content in UTF-8. Offsets are those of this text; bytes that are no text in the encoding are kept as bytes that are no UTF-8.

    Args:
        encoding: settled by the first byte that tells, at the latest.
    """

    content: Content
    encoding: Encoding
    position: int = field(default=0, init=False)

    @property
    def direct(self) -> bool:
        """Whether it can be entered in the middle."""
        return not self.content.packed and self.encoding == Encoding(UTF_8)

    async def read(self, offset: int) -> AsyncGenerator[bytes]:
        """The text from an offset on.

        Raises:
            UnreadableFile, JobFailed: as of the content.
        """
        start = offset if self.encoding == Encoding(UTF_8) else 0
        decode = decoding.decoder(self.encoding)
        skip, sent = offset - start, 0
        async with aclosing(self.content.read(start)) as pieces:
            async for piece in _ended(pieces):
                try:
                    text = await self._decoded(decode, piece)
                except NotUtf8:
                    break
                if skip < len(text):
                    yield text[skip:]
                skip, sent = max(0, skip - len(text)), sent + len(text)
            else:
                return
        # All before is the same in the encoding that is found now.
        self.encoding = await self._decide()
        async with aclosing(self.read(max(sent, offset))) as rest:
            async for text in rest:
                yield text

    async def _decoded(self, decode: decoding.Decoder, piece: bytes | None) -> bytes:
        last, data = piece is None, piece or b""
        if self.encoding.name == UTF_8:
            return decode(data, last)
        return await asyncio.to_thread(decode, data, last)

    async def _decide(self) -> Encoding:
        """Looks through the file, until it is clear."""
        evidence = Evidence()
        look = decoding.blocks(evidence.add)
        async with aclosing(self.content.again().read(0)) as pieces:
            async for piece in _ended(pieces):
                await asyncio.to_thread(look, piece or b"", piece is None)
                if evidence.overwhelming:
                    break
        return evidence.decide()


async def _ended(pieces: AsyncGenerator[bytes]) -> AsyncGenerator[bytes | None]:
    """The pieces, and None after the last."""
    async for piece in pieces:
        yield piece
    yield None


def refuse_other_kinds(head: bytes) -> None:
    """Tells a file that is no table by its first bytes.

    Raises:
        UnreadableFile: with what it is, and what to do.
    """
    for mark, what in _KINDS:
        if head.startswith(mark):
            raise UnreadableFile(f"the file is {what}")
    if head[257:262] == b"ustar":
        raise UnreadableFile(f"the file is a tar archive; {_UNPACK}")
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if _FORM.match(start):
        raise UnreadableFile(
            "the object is the body of an HTML form (multipart/form-data) with the file in it, not the file itself; "
            "send the file alone as the body of the PUT request, such as with curl --upload-file"
        )
    lower = start[:64].lower()
    if lower.startswith((b"<!doctype html", b"<html", b"<table", b"<head", b"<meta")):
        raise UnreadableFile(f"the file is an HTML page, whatever its name; {_SAVE}")
    if lower.startswith(b"<?xml"):
        raise UnreadableFile(f"the file is XML; {_SAVE}")
    if _JSON.match(start):
        raise UnreadableFile(f"the file is JSON; {_SAVE}")
    if lower.startswith(b"begin:vcard"):
        raise UnreadableFile("the file has vCards, not a table; export the contacts as CSV and import that")


_SAVE = "save the table as CSV or XLSX and import that"
_UNPACK = "unpack it and import the table in it"
_FORM = re.compile(rb"--[^\r\n]{1,200}\r?\n(?:content-[^\r\n]*\r?\n)*?content-disposition: *form-data", re.IGNORECASE)
_JSON = re.compile(rb'(?:\[\s*)?\{\s*"')
_KINDS = (
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", f"an old Excel workbook (.xls), or one with a password; {_SAVE}"),
    (b"%PDF-", f"a PDF document; {_SAVE}"),
    (b"{\\rtf", f"an RTF document; {_SAVE}"),
    (b"BZh", f"a bzip2 archive; {_UNPACK}, or pack it by gzip"),
    (b"\xfd7zXZ\x00", f"an xz archive; {_UNPACK}, or pack it by gzip"),
    (b"\x28\xb5\x2f\xfd", f"a zstd archive; {_UNPACK}, or pack it by gzip"),
    (b"7z\xbc\xaf\x27\x1c", f"a 7z archive; {_UNPACK}"),
    (b"Rar!\x1a\x07", f"a RAR archive; {_UNPACK}"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"\x1f\x8b", "a gzip file inside a gzip file; unpack it once"),
    (b"PAR1", f"a Parquet file; {_SAVE}"),
    (b"SQLite format 3\x00", f"an SQLite database; {_SAVE}"),
    (b"\x89PNG", "an image"),
    (b"\xff\xd8\xff", "an image"),
    (b"GIF8", "an image"),
)
