"""The part of the REST API that the command line needs."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypedDict

import httpx

from connectra_client.connection import Connection
from connectra_client.errors import ApiError, ClientError, FieldViolation, Unreachable

_CHUNK = 256 * 1024
_TIMEOUT = httpx.Timeout(30, connect=5)
# An object store may be slow to acknowledge a large object.
_TRANSFER_TIMEOUT = httpx.Timeout(300, connect=5)

# A JSON object whose members only the server knows.
Json = dict[str, Any]
# Called with the number of bytes just moved.
Progress = Callable[[int], None]


class Job(TypedDict):
    """A job as the server reports it; points in time are RFC 3339."""

    id: int
    uuid: str
    job_type: str
    data: Json
    status: str
    job_response: Json
    retry_count: int
    retry_interval: int  # seconds before the first retry; doubles with every failure
    run_after: str | None  # when it is retried; None when it is not
    created_at: str
    updated_at: str
    attempts: int
    progress: Json


class JobFile(TypedDict):
    """A file that a job reads or has written."""

    kind: str  # source, result or rejected
    s3_key: str
    size_bytes: int
    download_url: str


class RestClient:
    """A connection to a Connectra server; close it or use it in a `with` statement.

    Any method that calls the server may raise:

        ApiError: the server refused.
        Unreachable: the server cannot be reached, or the connection broke.

    Args:
        connection: address and key, see `find_connection`.
    """

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
        """Close the connections to the server."""
        self._http.close()

    def upload(self, file: Path, progress: Progress = lambda _: None) -> str:
        """Send a file to the object store.

        Args:
            file: the file, sent in pieces: it may be larger than memory.
            progress: called with the number of bytes just sent.

        Returns:
            Its S3 key, for the `s3_key` of an import.

        Raises:
            ClientError: the file cannot be read.
        """
        target = self._call("GET", "/common/upload-url", params={"filename": file.name})
        try:
            size = file.stat().st_size
            # The length is sent because S3 accepts no chunked bodies.
            self._transfer(
                lambda http: http.put(
                    target["upload_url"], content=_read(file, progress), headers={"Content-Length": str(size)}
                )
            )
        except OSError as error:
            raise ClientError(f"{file} cannot be read: {error.strerror}") from error
        return str(target["s3_key"])

    def download(self, url: str, out: Path, progress: Progress = lambda _: None) -> None:
        """Fetch a file from the object store.

        Args:
            url: a download URL that the server signed.
            out: replaced only once the whole file has arrived.
            progress: called with the number of bytes just received.

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
        """Create a job.

        Args:
            job_type: `insert_csv_file` or `export_csv_file`.
            job_data: what it is to do; its members depend on the type.
            retry_count: how many times the job is run again after a failure.

        Returns:
            The job's uuid.
        """
        body = {"job_type": job_type, "job_data": job_data, "retry_count": retry_count}
        return str(self._call("POST", "/common/jobs/create", json=body)["data"]["uuid"])

    def job(self, uuid: str) -> Job:
        """The current state of a job."""
        job: Job = self._call("GET", f"/common/jobs/{uuid}")["data"]
        return job

    def jobs(self, *, job_type: str | None = None, statuses: list[str] | None = None, limit: int = 25) -> list[Job]:
        """Jobs, newest first.

        Args:
            job_type: only jobs of this type.
            statuses: only jobs in one of these states.
            limit: maximum number of jobs, 1 to 100.
        """
        body = {"job_type": job_type, "status": statuses, "limit": limit}
        found = self._call("POST", "/common/jobs", json={name: value for name, value in body.items() if value})
        return list(found["data"])

    def cancel_job(self, uuid: str) -> Json:
        """Ask a job to stop; a running one stops at its next batch. Returns the server's whole reply."""
        return self._call("POST", f"/common/jobs/{uuid}/cancel", json={})

    def retry_job(self, uuid: str) -> Json:
        """Make a failed job run again now. Returns the server's whole reply."""
        return self._call("POST", f"/common/jobs/{uuid}/retry", json={})

    def job_files(self, uuid: str) -> list[JobFile]:
        """The files of a job, each with a URL to download it from."""
        return list(self._call("GET", f"/common/jobs/{uuid}/files")["data"])

    def search(self, entity: str, vql: Json) -> list[Json]:
        """One page of records.

        Args:
            entity: `contacts` or `companies`.
            vql: the query; its `limit` is the page size.
        """
        return list(self._call("POST", f"/{entity}", json=vql)["data"])

    def count(self, entity: str, vql: Json) -> int:
        """The number of records that match.

        Args:
            entity: `contacts` or `companies`.
            vql: the query.
        """
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
        # A separate HTTP client: the object store must not see our API key.
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
    """The error envelope as an exception; a reply that has none (of a proxy, say) is named by its HTTP status."""
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
