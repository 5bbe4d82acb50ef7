"""Files to the object store and back: large ones in parts, several at once; after a broken connection both go on where it broke."""

import hashlib
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import BinaryIO, Protocol, Self, TypedDict

import httpx

from connectra_client.errors import ClientError, StoreRefused, unreachable
from connectra_client.retrying import PATIENCE_SECONDS, persist

MIB = 1024 * 1024
# Larger files are sent in parts.
ONE_PUT_BYTES = 64 * MIB
# Parts that are sent at once.
PARALLEL = 4
# Parts whose URLs are asked for at once: one call of the API.
URLS = 100
_CHUNK = 256 * 1024
# An object store may be slow to acknowledge a large object.
_TIMEOUT = httpx.Timeout(300, connect=5)

# Called with the number of bytes just moved; with a negative one when they are to be moved again.
Progress = Callable[[int], None]


class Part(TypedDict):
    """A part that the store has."""

    part_number: int
    size_bytes: int
    etag: str


class Upload(TypedDict, total=False):
    """An upload as the server reports it."""

    upload_id: str
    s3_key: str
    part_size: int
    part_count: int
    size_bytes: int
    completed: bool
    parts: list[Part]


class Uploads(Protocol):
    """The calls of the API that an upload in parts needs."""

    def upload_part_urls(self, upload_id: str, part_numbers: list[int]) -> dict[int, str]: ...

    def complete_upload(self, upload_id: str) -> None: ...


class Store:
    """The object store, reached by signed URLs. It has connections of its own: it must not see the API key.

    Any method may raise:

        StoreRefused: the store did.
        Unreachable: nobody answers, or the connection broke.
        ClientError: the file cannot be read or written.

    Args:
        trust_env: whether proxies of the environment are used.
    """

    def __init__(self, *, trust_env: bool) -> None:
        self._http = httpx.Client(timeout=_TIMEOUT, trust_env=trust_env)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def put(self, url: str, content: Iterable[bytes], size: int) -> None:
        """Send one object or part."""
        try:
            # The length is sent because S3 accepts no chunked bodies.
            response = self._http.put(url, content=content, headers={"Content-Length": str(size)})
        except httpx.HTTPError as error:
            raise unreachable("the object store", error) from error
        _require(response)

    def get(self, url: str, out: Path, progress: Progress, renew: Callable[[], str] | None = None) -> None:
        """Fetch an object. `out` is replaced only once all of it is here; until then it is in a file beside it, named after
        `out` and the object's version, from which a later call goes on.

        Args:
            url: where it is.
            out: the file.
            progress: see `Progress`.
            renew: gives a new URL; asked once the store refuses the one before, which may have expired.
        """
        # Of a symbolic link it is the file behind it that is replaced.
        download = _Download(self._http, url, out.resolve(), progress)
        try:
            while True:
                began = download.done
                try:
                    return persist(download.go_on)
                except StoreRefused as error:
                    # One that is refused at once is refused for another reason.
                    if error.status != 403 or renew is None or (download.renewed and download.done == began):
                        raise
                    download.renew(renew())
        except OSError as error:
            raise ClientError(f"{out} cannot be written: {error.strerror}") from error


class _Download:
    """An object on its way into a file."""

    def __init__(self, http: httpx.Client, url: str, out: Path, progress: Progress) -> None:
        self._http, self._url, self._out, self._progress = http, url, out, progress
        self._part: Path | None = None  # known once the store has told the object's version
        self._etag, self._total, self._counted = "", 0, 0
        self.renewed = False

    @property
    def done(self) -> int:
        """Bytes that are here."""
        return self._counted

    def renew(self, url: str) -> None:
        """Go on by another URL."""
        self._url, self.renewed = url, True

    def go_on(self) -> None:
        """Fetch what is missing."""
        try:
            part = self._part or self._begin()
            if (done := part.stat().st_size) < self._total:
                rest = {**_PLAIN, "Range": f"bytes={done}-", "If-Match": self._etag}
                with self._http.stream("GET", self._url, headers=rest) as response:
                    _require(response)
                    self._write(response, part, done if response.status_code == 206 else 0)
        except httpx.HTTPError as error:
            raise unreachable("the object store", error) from error
        part.replace(self._out)

    def _begin(self) -> Path:
        """Learn what is to be fetched; unless a part of it is here already, fetch it."""
        with self._http.stream("GET", self._url, headers=_PLAIN) as response:
            _require(response)
            self._etag, self._total = response.headers.get("etag", ""), int(response.headers["content-length"])
            version = re.sub(r"[^0-9A-Za-z]", "", self._etag)[:12]
            self._part = part = self._out.with_name(f"{self._out.name}.{version}.part")
            done = part.stat().st_size if version and part.exists() else 0
            if 0 < done <= self._total:
                self._at(done)
            else:
                self._write(response, part, 0)
        return part

    def _write(self, response: httpx.Response, part: Path, begin: int) -> None:
        with part.open("ab" if begin else "wb") as file:
            for piece in response.iter_raw():
                file.write(piece)
                self._at(file.tell())

    def _at(self, done: int) -> None:
        self._progress(done - self._counted)
        self._counted = done


# Bytes as they are in the store: what was packed on the way could not be counted.
_PLAIN = {"Accept-Encoding": "identity"}


@contextmanager
def arriving(file: Path) -> Iterator[BinaryIO]:
    """A file to write to that takes the place of `file` only once all of it is there; a pipe or a device is written to as it is.

    Raises:
        ClientError: it cannot be written.
    """
    in_place = file.exists() and not file.is_file()
    whole = file.resolve()  # of a symbolic link it is the file behind it that is replaced
    part = file if in_place else whole.with_name(f"{whole.name}.part")
    try:
        with part.open("wb") as out:
            yield out
        if not in_place:
            part.replace(whole)
    except OSError as error:
        raise ClientError(f"{file} cannot be written: {error.strerror}") from error
    finally:
        if not in_place:
            part.unlink(missing_ok=True)


def read(file: Path, progress: Progress, begin: int = 0, size: int | None = None) -> Iterator[bytes]:
    """The bytes of a file, or `size` of them from `begin` on, in pieces."""
    with file.open("rb") as source:
        source.seek(begin)
        left = size
        while piece := source.read(_CHUNK if left is None else min(_CHUNK, left)):
            yield piece
            progress(len(piece))
            left = None if left is None else left - len(piece)


class _Stopped(ClientError):
    """Another part failed for good, or the user asked for the end."""


class PartsUpload:
    """A file on its way in parts.

    Args:
        uploads: the API.
        store: where the parts go.
        file: must not change meanwhile.
        upload: as the server reports it, with the parts that the store has already.
        progress: called from several threads.

    Raises:
        ClientError: see `send`.
    """

    def __init__(self, uploads: Uploads, store: Store, file: Path, upload: Upload, progress: Progress) -> None:
        self._uploads, self._store, self._file, self._upload = uploads, store, file, upload
        self._size, self._part_size = file.stat().st_size, upload["part_size"]
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._progress = progress

    def send(self) -> None:
        """Send what the store does not have, and complete the upload. What was sent stays when this fails or is interrupted.

        Raises:
            ClientError: the file cannot be read, or is not the one that the upload was begun with.
            ApiError, Unreachable: after several tries.
        """
        if self._upload.get("size_bytes", self._size) != self._size:
            announced = self._upload["size_bytes"]
            raise ClientError(
                f"{self._file} has {self._size:,} bytes; the upload was begun with a file of {announced:,}:"
                " import it without --resume"
            )
        before = self._file.stat()
        present = {part["part_number"]: part for part in self._upload.get("parts", [])}
        count = max(1, -(-self._size // self._part_size))
        missing = [n for n in range(1, count + 1) if not (n in present and self._is_same(present[n]))]
        for begin in range(0, len(missing), URLS):
            numbers = missing[begin : begin + URLS]
            self._send_all(persist(lambda numbers=numbers: self._urls(numbers)))  # type: ignore[misc]
        after = self._file.stat()
        if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise ClientError(f"{self._file} was changed while it was sent: import it again")
        persist(lambda: self._uploads.complete_upload(self._upload["upload_id"]))

    def _urls(self, numbers: list[int]) -> dict[int, str]:
        return self._uploads.upload_part_urls(self._upload["upload_id"], numbers)

    def _send_all(self, urls: dict[int, str]) -> None:
        waiting, ended = SimpleQueue[tuple[int, str]](), SimpleQueue[BaseException | None]()
        for item in urls.items():
            waiting.put(item)

        def work() -> None:
            while not waiting.empty() and not self._stop.is_set():
                with suppress(Empty):
                    number, url = waiting.get_nowait()
                    try:
                        self._send(number, url)
                        ended.put(None)
                    except BaseException as error:  # noqa: BLE001 - raised again below
                        ended.put(error)

        for _ in range(min(PARALLEL, len(urls))):
            # Daemons: Ctrl-C does not wait for a store that does not answer.
            threading.Thread(target=work, daemon=True).start()
        try:
            for _ in urls:
                if error := ended.get():
                    raise error
        except BaseException:
            self._stop.set()
            raise

    def _send(self, number: int, url: str) -> None:
        try:
            persist(lambda: self._put(number, url), PATIENCE_SECONDS, self._stop.wait)
        except StoreRefused as error:
            if error.status != 403:
                raise
            fresh = persist(lambda: self._urls([number]))[number]  # the first one may have expired meanwhile
            persist(lambda: self._put(number, fresh), PATIENCE_SECONDS, self._stop.wait)

    def _put(self, number: int, url: str) -> None:
        begin, size = self._extent(number)
        moved = 0

        def advance(count: int) -> None:
            nonlocal moved
            moved += count
            self._advance(count)
            if self._stop.is_set():
                raise _Stopped("stopped")

        try:
            self._store.put(url, read(self._file, advance, begin, size), size)
        except BaseException:
            self._advance(-moved)
            raise

    def _extent(self, number: int) -> tuple[int, int]:
        begin = (number - 1) * self._part_size
        return begin, min(self._part_size, self._size - begin)

    def _is_same(self, part: Part) -> bool:
        """Whether the store has these bytes already. Of a store whose tags are no MD5 nothing is taken for granted."""
        begin, size = self._extent(part["part_number"])
        if part["size_bytes"] != size:
            return False
        digest = hashlib.md5(usedforsecurity=False)
        for piece in read(self._file, lambda _: None, begin, size):
            digest.update(piece)
        same = part["etag"].strip('"') == digest.hexdigest()
        self._advance(size if same else 0)
        return same

    def _advance(self, count: int) -> None:
        with self._lock:
            self._progress(count)


def _require(response: httpx.Response) -> None:
    if response.is_success:
        return
    text = response.read().decode(errors="replace")
    said = re.search(r"<Message>(.*?)</Message>", text) or re.search(r"<Code>(.*?)</Code>", text)
    detail = said[1] if said else response.reason_phrase
    raise StoreRefused(f"the object store refused (HTTP {response.status_code}): {detail}", status=response.status_code)
