"""The REST door, as far as the command line needs it."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from connectra_client.connection import Connection
from connectra_client.errors import ApiError, ClientError, FieldViolation, Unreachable

_CHUNK = 256 * 1024
_TIMEOUT = httpx.Timeout(30, connect=5)
# A store may take its time to acknowledge a large object.
_TRANSFER_TIMEOUT = httpx.Timeout(300, connect=5)

Json = dict[str, Any]
Progress = Callable[[int], None]
"""Called with the number of bytes just moved."""


class RestClient:
    """One connection; close it or use it in a `with` statement. Any method may raise ApiError and Unreachable."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._http = httpx.Client(
            base_url=connection.url,
            headers={"X-API-Key": connection.api_key},
            timeout=_TIMEOUT,
            trust_env=not connection.loopback,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def upload(self, file: Path, progress: Progress = lambda _: None) -> str:
        """Send a file to the object store in pieces and return its S3 key.

        Raises:
            ClientError: the file cannot be read.
        """
        target = self._call("GET", "/common/upload-url", params={"filename": file.name})
        try:
            size = file.stat().st_size
            # The length is sent along because S3 takes no chunked bodies.
            self._transfer(
                lambda http: http.put(
                    target["upload_url"], content=_read(file, progress), headers={"Content-Length": str(size)}
                )
            )
        except OSError as error:
            raise ClientError(f"{file} cannot be read: {error.strerror}") from error
        return str(target["s3_key"])

    def download(self, url: str, out: Path, progress: Progress = lambda _: None) -> None:
        """Fetch a file of the object store; `out` is replaced only when all of it is there.

        Raises:
            ClientError: `out` cannot be written.
        """
        part = out.with_name(f"{out.name}.part")

        def fetch(http: httpx.Client) -> httpx.Response:
            with http.stream("GET", url) as response:
                if response.is_error:
                    response.read()
                    return response
                with part.open("wb") as file:
                    for piece in response.iter_bytes(_CHUNK):
                        file.write(piece)
                        progress(len(piece))
            return response

        try:
            self._transfer(fetch)
            part.replace(out)
        except OSError as error:
            raise ClientError(f"{out} cannot be written: {error.strerror}") from error
        finally:
            part.unlink(missing_ok=True)

    def create_job(self, job_type: str, job_data: Json, retry_count: int = 0) -> str:
        """Store a job and return its uuid."""
        body = {"job_type": job_type, "job_data": job_data, "retry_count": retry_count}
        return str(self._call("POST", "/common/jobs/create", json=body)["data"]["uuid"])

    def job(self, uuid: str) -> Json:
        """One job as it stands now."""
        job: Json = self._call("GET", f"/common/jobs/{uuid}")["data"]
        return job

    def jobs(self, *, job_type: str | None = None, statuses: list[str] | None = None, limit: int = 25) -> list[Json]:
        """Jobs, newest first."""
        body = {"job_type": job_type, "status": statuses, "limit": limit}
        found = self._call("POST", "/common/jobs", json={name: value for name, value in body.items() if value})
        return list(found["data"])

    def cancel_job(self, uuid: str) -> Json:
        """Ask a job to stop; one that runs stops at its next batch."""
        return self._call("POST", f"/common/jobs/{uuid}/cancel", json={})

    def retry_job(self, uuid: str) -> Json:
        """Make a failed job run again now."""
        return self._call("POST", f"/common/jobs/{uuid}/retry", json={})

    def job_files(self, uuid: str) -> list[Json]:
        """The files of a job, each with `kind` (source, result, rejected), `s3_key`, `size_bytes`, `download_url`."""
        return list(self._call("GET", f"/common/jobs/{uuid}/files")["data"])

    def search(self, entity: str, vql: Json) -> list[Json]:
        """One page of `contacts` or `companies`."""
        return list(self._call("POST", f"/{entity}", json=vql)["data"])

    def count(self, entity: str, vql: Json) -> int:
        """How many `contacts` or `companies` match."""
        return int(self._call("POST", f"/{entity}/count", json=vql)["count"])

    def _call(self, method: str, path: str, **options: Any) -> Json:
        try:
            response = self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise _unreachable(self.connection.url, error) from error
        if response.is_error:
            raise api_error(response)
        try:
            answer: Json = response.json()
        except ValueError as error:
            raise ClientError(f"{self.connection.url} does not answer like a Connectra server") from error
        return answer

    def _transfer(self, send: Callable[[httpx.Client], httpx.Response]) -> None:
        # A client of its own: the object store must not get our API key.
        with httpx.Client(timeout=_TRANSFER_TIMEOUT, trust_env=not self.connection.loopback) as http:
            try:
                response = send(http)
            except httpx.HTTPError as error:
                raise _unreachable("the object store", error) from error
        if response.is_error:
            said = re.search(r"<Message>(.*?)</Message>", response.text) or re.search(
                r"<Code>(.*?)</Code>", response.text
            )
            detail = said[1] if said else response.reason_phrase
            raise ApiError(
                f"the object store refused (HTTP {response.status_code}): {detail}", status=response.status_code
            )


def _read(file: Path, progress: Progress) -> Iterator[bytes]:
    with file.open("rb") as source:
        while piece := source.read(_CHUNK):
            yield piece
            progress(len(piece))


def _unreachable(who: str, error: httpx.HTTPError) -> Unreachable:
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return Unreachable(f"{who} cannot be reached: {error}")
    if isinstance(error, httpx.TimeoutException):
        return Unreachable(f"{who} took too long to answer")
    return Unreachable(f"the connection to {who} broke: {error or type(error).__name__}")


def api_error(response: httpx.Response) -> ApiError:
    """The error envelope as an exception; another server's answer by its HTTP status."""
    try:
        envelope = response.json()
        message, details = envelope["message"], envelope.get("details") or {}
    except (ValueError, KeyError, TypeError):
        return ApiError(f"HTTP {response.status_code} {response.reason_phrase}".strip(), status=response.status_code)
    fields = [FieldViolation(field["field"], field["message"]) for field in details.get("fields", ())]
    return ApiError(
        message,
        code=envelope.get("error_code", ""),
        status=response.status_code,
        reason=details.get("reason", ""),
        fields=fields,
        details=details,
    )
