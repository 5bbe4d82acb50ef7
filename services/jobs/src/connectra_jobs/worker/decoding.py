"""Bytes in any encoding to UTF-8. What is no text in the encoding stays as bytes that are no UTF-8 either: it costs its row only."""

import codecs
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from connectra_jobs import encodings
from connectra_jobs.encodings import UTF_8, WINDOWS_1252, Encoding

# UTF-16 without a mark shows by its zeros in so many bytes.
HEAD_BYTES = 4096
# What `Evidence` is asked after: the same, however the bytes come.
BLOCK_BYTES = 1024 * 1024

_MARKS = (
    (codecs.BOM_UTF8, UTF_8),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class NotUtf8(Exception):
    """A byte that is no UTF-8 was met, before anything of its piece was given out."""


class Decoder(Protocol):
    """Takes bytes as they come; holds back what is not whole."""

    def __call__(self, data: bytes, last: bool) -> bytes: ...


def by_mark(head: bytes) -> Encoding | None:
    """The encoding that the first bytes of a file tell for sure."""
    for mark, name in _MARKS:
        if head.startswith(mark):
            return Encoding(name)
    pairs = len(head) // 2
    even, odd = (head[at : 2 * pairs : 2].count(0) for at in (0, 1))
    # Delimiters, line ends and Latin letters have a zero byte; a few zeros are just bad bytes.
    if pairs >= 4 and max(even, odd) * 8 >= pairs and min(even, odd) * 20 <= max(even, odd):
        name = "utf-16-le" if odd > even else "utf-16-be"
        try:
            codecs.getincrementaldecoder(name)().decode(head)
        except UnicodeDecodeError:
            return None
        return Encoding(name)
    return None


def decoder(encoding: Encoding) -> Decoder:
    """What turns a file of this encoding into UTF-8, from its beginning on."""
    if encoding.name == UTF_8:
        return _pass if encoding.settled else _Checked()
    if encoding.mixed:
        return _Mixed()
    if encoding.name == WINDOWS_1252:
        return _windows_1252
    if encoding.name in ("utf-16", "utf-32"):
        return _Wide(encoding.name)
    return _of_codec(encodings.codec(encoding.name))


def _of_codec(name: str) -> Decoder:
    decode = codecs.getincrementaldecoder(name)(_KEEP).decode
    return lambda data, last: decode(data, last).encode(errors="surrogateescape")


def _pass(data: bytes, last: bool) -> bytes:
    return data


def _windows_1252(data: bytes, last: bool) -> bytes:
    return codecs.charmap_decode(data, "strict", _TABLE)[0].encode()


class _Checked:
    """Passes UTF-8 on.

    Raises:
        NotUtf8.
    """

    def __init__(self) -> None:
        self._tail = b""

    def __call__(self, data: bytes, last: bool) -> bytes:
        data = self._tail + data
        end = len(data) if last else _whole(data)
        data, self._tail = data[:end], data[end:]
        if not data.isascii():
            try:
                data.decode()
            except UnicodeDecodeError:
                raise NotUtf8 from None
        return data


class _Mixed:
    """Windows-1252 in which valid UTF-8 is taken as that: files that were joined have both."""

    def __init__(self) -> None:
        self._tail = b""

    def __call__(self, data: bytes, last: bool) -> bytes:
        data = self._tail + data
        end = len(data) if last else _whole(data)
        data, self._tail = data[:end], data[end:]
        if data.isascii():
            return data
        if not _SEQUENCE.search(data):
            return _windows_1252(data, last)
        return data.decode("utf-8", _AS_1252).encode()


class _Wide:
    """UTF-16 or UTF-32. Python's codecs of these names fail without a mark, which a file that is said to be one may lack: then its zeros
    tell the order of its bytes, and without any it is little-endian, as with all but few.
    """

    def __init__(self, name: str) -> None:
        self._name, self._head = name, b""
        self._decode: Decoder | None = None

    def __call__(self, data: bytes, last: bool) -> bytes:
        if self._decode is None:
            self._head += data
            if len(self._head) < HEAD_BYTES and not last:
                return b""
            data, self._decode = self._head, _of_codec(self._codec())
        return self._decode(data, last)

    def _codec(self) -> str:
        if any(self._head.startswith(mark) for mark, name in _MARKS if name == self._name):
            return self._name
        if self._name == "utf-32":
            return "utf-32-be" if self._head.startswith(b"\0") else "utf-32-le"
        found = by_mark(self._head)
        return found.name if found and found.name.startswith("utf-16-") else "utf-16-le"


def _whole(data: bytes) -> int:
    """Where the last character begins, if it is not all there; else the end."""
    for back in range(1, min(3, len(data)) + 1):
        byte = data[-back]
        if byte < 0x80:
            break
        if byte >= 0xC0:
            length = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return len(data) - back if length > back else len(data)
    return len(data)


@dataclass
class Evidence:
    """What the bytes of a file beyond ASCII look like.

    Args:
        valid: characters of UTF-8.
        invalid: bytes that are none.
        letters: those of them that are letters in words if they are Windows-1252.
        odd: those that would be another sign between two letters: of another encoding.
    """

    valid: int = 0
    invalid: int = 0
    letters: int = 0
    odd: int = 0

    def add(self, data: bytes) -> None:
        """Looks at some more, unless there is enough; no character of UTF-8 may be cut."""
        if data.isascii() or self.overwhelming:
            return
        rest, valid = _SEQUENCE.subn(b"\x01", data)
        self.valid += valid
        if not rest.isascii():
            self.invalid += len(rest) - len(rest.translate(None, _HIGH))
            for word in _WORD.findall(rest):
                if letters := word.translate(None, _ASCII):
                    self.letters += len(letters) if len(letters) < len(word) else 0
            self.odd += len(_ODD.findall(rest))

    @property
    def overwhelming(self) -> bool:
        """Whether no more need be looked at."""
        few, many = sorted((self.valid, self.invalid))
        return many >= 500 and few * 20 <= many

    def decide(self) -> Encoding:
        """UTF-8 with some bad rows, or Windows-1252."""
        words = self.letters * 2 >= self.invalid or (self.letters >= 20 and self.letters * 5 >= self.invalid)
        if self.valid < self.invalid and self.letters and words and self.odd * 10 <= self.letters:
            return Encoding(WINDOWS_1252, mixed=True)
        return Encoding(UTF_8)


def blocks(take: Callable[[bytes], None]) -> Decoder:
    """Hands data on in blocks of one size whatever its pieces, no character cut."""
    waiting = bytearray()

    def feed(data: bytes, last: bool) -> bytes:
        waiting.extend(data)
        while len(waiting) >= BLOCK_BYTES or (last and waiting):
            block = bytes(waiting[:BLOCK_BYTES])
            if len(block) == BLOCK_BYTES:
                block = block[: _whole(block)]
            del waiting[: len(block)]
            take(block)
        return b""

    return feed


_KEEP, _AS_1252 = "connectra-keep", "connectra-windows-1252"
# The five bytes that Windows-1252 does not define are the control characters of Latin-1.
_TABLE = "".join(bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in range(256))
_HIGH = bytes(range(0x80, 0x100))
_ASCII = bytes(range(0x80))
_LETTERS = bytes(byte for byte in _HIGH if _TABLE[byte].isalpha() and byte not in b"\xaa\xb5\xba\x83\x88")
_WORD = re.compile(rb"(?<![A-Za-z%(l)b])[A-Za-z]*+[%(l)b][A-Za-z%(l)b]*+" % {b"l": re.escape(_LETTERS)})
# Not an apostrophe, a dash, a soft hyphen or a middle dot.
_SIGNS = bytes(byte for byte in _HIGH if byte not in _LETTERS and byte not in b"\x91\x92\x96\x97\xa0\xad\xb4\xb7")
_ODD = re.compile(rb"(?<=[A-Za-z])[" + re.escape(_SIGNS) + rb"](?=[A-Za-z])")
_SEQUENCE = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]"
    rb"|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}"
)


def _keep(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    wrong = error.object[error.start : error.end]
    return "".join(chr(0xDC00 + byte) for byte in wrong if byte >= 0x80) or "\udcff", error.end


def _as_1252(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return _windows_1252(error.object[error.start : error.end], True).decode(), error.end


codecs.register_error(_KEEP, _keep)
codecs.register_error(_AS_1252, _as_1252)
