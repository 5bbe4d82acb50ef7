"""The part of the REST API that the command line needs."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypedDict, cast
from urllib.parse import quote

import httpx

from connectra_client.connection import Connection
from connectra_client.errors import ApiError, ClientError, FieldViolation, unreachable
from connectra_client.files import ONE_PUT_BYTES, PartsUpload, Progress, Store, Upload, read
from connectra_client.retrying import in_turn, persist

_TIMEOUT = httpx.Timeout(30, connect=5)
# Statuses of refusals that mean another thing at another server.
_ABOUT_THE_KEY = (401, 403)

_MAX_PAGE = 100

# A JSON object whose members only the server knows.
Json = dict[str, Any]


class Job(TypedDict):
    """A job as the server reports it; points in time are RFC 3339."""

    id: int
    uuid: str
    job_type: str
    data: Json
    status: str
    job_response: Json
    retry_count: int
    client: str | None  # that made it
    retry_interval: int  # seconds before the first retry; doubles with every failure
    run_after: str | None  # when it is retried; None when it is not
    created_at: str
    updated_at: str
    attempts: int
    progress: Json


class JobFile(TypedDict):
    """A file that a job reads or has written."""

    kind: str  # source, result, rejected or left_out
    s3_key: str
    size_bytes: int
    download_url: str


class FieldChange(TypedDict):
    """A value before and after; None where there was or is none."""

    old: Any
    new: Any


class Change(TypedDict):
    """One change of a record. Who made it is None if that is not for this client: it, or the right `admin`, sees it."""

    time: str  # RFC 3339
    action: str  # create, update, delete or revive
    actor: str | None  # client:NAME, direct or sql:LOGIN
    request_id: str | None
    job_uuid: str | None  # of the import that it was part of
    row_version: int
    changes: dict[str, FieldChange]  # empty for a created record


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

    def upload(
        self,
        file: Path,
        progress: Progress = lambda _: None,
        *,
        begun: Callable[[str], None] = lambda _: None,
        resume: str | None = None,
    ) -> str:
        """Send a file to the object store: one of more than 64 MiB in parts.

        Args:
            file: the file, sent in pieces: it may be larger than memory.
            progress: called with the number of bytes just sent; negative if they have to be sent again.
            begun: called with the key before anything is sent.
            resume: key of an upload that was interrupted. What the store has of it is not sent again.

        Returns:
            Its S3 key, for the `s3_key` of an import.

        Raises:
            ClientError: the file cannot be read, or is another one than that of the upload.
        """
        with Store(trust_env=not self.connection.loopback) as store:
            try:
                size = file.stat().st_size
                found = self._unfinished(resume) if resume else None
                if found and (found["completed"] or "part_size" in found):
                    begun(found["s3_key"])
                    if not found["completed"]:
                        PartsUpload(self, store, file, found, progress).send()
                    return found["s3_key"]
                if size > ONE_PUT_BYTES:
                    upload = self.create_upload(file.name, size)
                    begun(upload["s3_key"])
                    PartsUpload(self, store, file, upload, progress).send()
                    return upload["s3_key"]
                target = self._call("GET", "/common/upload-url", params={"filename": file.name})
                begun(target["s3_key"])
                store.put(target["upload_url"], read(file, progress), size)
                return str(target["s3_key"])
            except OSError as error:
                raise ClientError(f"{file} cannot be read: {error.strerror}") from error

    def _unfinished(self, key: str) -> Upload:
        upload_id = key.rpartition("/")[2].partition("_")[0]
        try:
            return self.upload_parts(upload_id)
        except ApiError as error:
            if error.status not in (400, 404):
                raise
            raise ClientError(
                f"there is no upload {key} to go on with; it may have been too old: import the file without --resume"
            ) from error

    def create_upload(self, filename: str, size_bytes: int) -> Upload:
        """Begin an upload in parts."""
        body = {"filename": filename, "size_bytes": size_bytes}
        return cast(Upload, self._call("POST", "/common/uploads", json=body))

    def upload_part_urls(self, upload_id: str, part_numbers: list[int]) -> dict[int, str]:
        """URLs by part number that each accept one part by PUT."""
        answer = self._call("POST", f"/common/uploads/{upload_id}/parts", json={"part_numbers": part_numbers})
        return {part["part_number"]: part["upload_url"] for part in answer["parts"]}

    def upload_parts(self, upload_id: str) -> Upload:
        """An upload with the parts that the store has."""
        return cast(Upload, self._call("GET", f"/common/uploads/{upload_id}/parts"))

    def complete_upload(self, upload_id: str) -> None:
        """Make the parts one object; safe to repeat."""
        self._call("POST", f"/common/uploads/{upload_id}/complete", json={})

    def download(
        self, url: str, out: Path, progress: Progress = lambda _: None, renew: Callable[[], str] | None = None
    ) -> None:
        """Fetch a file from the object store.

        A connection that breaks is opened again where it broke. What has arrived of a download that fails or is interrupted stays
        in a file beside `out`, and the next one goes on from there.

        Args:
            url: a download URL that the server signed.
            out: replaced only once the whole file has arrived.
            progress: called with the number of bytes just received.
            renew: gives a new URL when this one has expired; URLs are good for minutes.

        Raises:
            ClientError: `out` cannot be written.
        """
        with Store(trust_env=not self.connection.loopback) as store:
            store.get(url, out, progress, renew)

    def preview_import(self, job_data: Json) -> Json:
        """What an import would make of the beginning of a file.

        Args:
            job_data: of the import: `s3_key`, and what tells how the file is read.
        """
        return dict(self._call("POST", "/common/imports/preview", json=job_data)["data"])

    def create_job(
        self, job_type: str, job_data: Json, retry_count: int = 0, *, idempotency_key: str | None = None
    ) -> str:
        """Create a job.

        Args:
            job_type: `insert_csv_file` or `export_csv_file`.
            job_data: what it is to do; its members depend on the type.
            retry_count: how many times the job is run again after a failure.
            idempotency_key: with it the call is repeated while the server is away or busy, and still makes one job.

        Returns:
            The job's uuid.
        """
        body = {"job_type": job_type, "job_data": job_data, "retry_count": retry_count}
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else None

        def create() -> Json:
            return self._call("POST", "/common/jobs/create", json=body, headers=headers)

        answer = persist(create) if idempotency_key else create()
        return str(answer["data"]["uuid"])

    def job(self, uuid: str) -> Job:
        """The current state of a job."""
        job: Job = self._call("GET", f"/common/jobs/{uuid}")["data"]
        return job

    def jobs(self, *, job_type: str | None = None, statuses: Sequence[str] = ()) -> Iterator[Job]:
        """Jobs, newest first, each page asked for when it is wanted.

        Args:
            job_type: only jobs of this type.
            statuses: only jobs in one of these states; any when there are none.
        """
        asked: Json = {"limit": _MAX_PAGE}
        asked |= {name: value for name, value in (("job_type", job_type), ("status", list(statuses))) if value}
        while True:
            page = self._call("POST", "/common/jobs", json=asked)
            yield from page["data"]
            if not (cursor := page.get("next_cursor")):
                return
            asked["cursor"] = cursor

    def cancel_job(self, uuid: str) -> Json:
        """Ask a job to stop; a running one stops at its next batch. Returns the server's whole reply."""
        return self._call("POST", f"/common/jobs/{uuid}/cancel", json={})

    def retry_job(self, uuid: str) -> Json:
        """Make a failed job run again now. Returns the server's whole reply."""
        return self._call("POST", f"/common/jobs/{uuid}/retry", json={})

    def job_files(self, uuid: str) -> list[JobFile]:
        """The files of a job, each with a new URL to download it from. Waits while the rate limit is used up."""
        return list(persist(lambda: self._call("GET", f"/common/jobs/{uuid}/files"))["data"])

    def search(self, entity: str, vql: Json) -> list[Json]:
        """One page of records.

        Args:
            entity: `contacts` or `companies`.
            vql: the query; its `limit` is the page size.
        """
        return list(self.page(entity, vql)["data"])

    def page(self, entity: str, vql: Json) -> Json:
        """One page of records as the server answers it: `data`, and what else the query asks for.

        Args:
            entity: `contacts` or `companies`.
            vql: the query; its `limit` is the page size.
        """
        return self._call("POST", f"/{entity}", json=vql)

    def pages(self, entity: str, vql: Json, limit: int | None) -> Iterator[Json]:
        """Pages of records as the server answers them, each asked for when it is wanted; waits while the rate limit is used up.

        Args:
            entity: `contacts` or `companies`.
            vql: the query, without a `limit`; with a `cursor`, what follows it.
            limit: of the rows in all; None: all that match.
        """
        left, asked = limit, dict(vql)
        while left is None or left > 0:
            asked["limit"] = _MAX_PAGE if left is None else min(left, _MAX_PAGE)
            page = in_turn(lambda: self.page(entity, asked))
            yield page
            if (cursor := page.get("next_cursor")) is None:
                return
            asked["cursor"] = cursor
            left = None if left is None else left - len(page["data"])

    def record(self, entity: str, uuid: str, columns: Sequence[str] = ()) -> Json:
        """A stored record; whole ones with their `row_version`.

        Args:
            entity: `contacts` or `companies`.
            uuid: of the record.
            columns: only these; all when there are none.
        """
        if columns:
            asked = {"select_columns": ",".join(columns)}
            return dict(in_turn(lambda: self._call("GET", _path(entity, uuid), params=asked))["data"])
        return dict(in_turn(lambda: self._stored("GET", _path(entity, uuid)))["data"])

    def create(self, entity: str, record: Json, *, idempotency_key: str | None = None) -> Json:
        """Store a new record. Returns the server's whole answer, whose `data` is the record as it is stored."""
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else None
        return self._stored("POST", f"/{entity}/create", json=record, headers=headers)

    def update(self, entity: str, uuid: str, fields: Json, *, if_version: int | None = None) -> Json:
        """Change fields of a record; null or empty clears one. Returns the server's whole answer.

        Args:
            entity: `contacts` or `companies`.
            uuid: of the record.
            fields: those that change.
            if_version: its `row_version`; if it has another one by now, it stays as it is.
        """
        headers = {"If-Match": f'"{if_version}"'} if if_version is not None else None
        return self._stored("PUT", _path(entity, uuid), json=fields, headers=headers)

    def upsert(self, entity: str, record: Json) -> Json:
        """Change the record that is meant, or store a new one. Returns the server's whole answer; `is_new` says which."""
        return self._stored("POST", f"/{entity}/upsert", json=record)

    def bulk(self, entity: str, records: Sequence[Json]) -> Json:
        """Upsert up to 2,000 records: `uuids` in their order, and `errors` of those that failed."""
        return dict(in_turn(lambda: self._call("POST", f"/{entity}/bulk", json={"data": records}))["data"])

    def delete(self, entity: str, uuid: str) -> None:
        """Delete a record. An upsert with its uuid brings it back."""
        in_turn(lambda: self._call("DELETE", _path(entity, uuid)))

    def health(self) -> Json:
        """The state of the server's stores; 503 when PostgreSQL is down."""
        return self._call("GET", "/health/db")

    def filters(self, entity: str) -> list[Json]:
        """The filters that users are offered."""
        return list(self._call("GET", f"/{entity}/filters")["data"])

    def filter_values(self, entity: str, key: str, text: str | None, limit: int, page: int) -> list[Json]:
        """One page of the values of a filter.

        Args:
            entity: `contacts` or `companies`.
            key: of the filter.
            text: only values that contain it.
            limit: size of the page, 1 to 100.
            page: 1 is the first.
        """
        asked = {"filter_key": key, "search_text": text or "", "limit": limit, "page": page}
        return list(self._call("POST", f"/{entity}/filters/data", json=asked)["data"])

    def count(self, entity: str, vql: Json) -> int:
        """The number of records that match.

        Args:
            entity: `contacts` or `companies`.
            vql: the query.
        """
        return int(self._call("POST", f"/{entity}/count", json=vql)["count"])

    def aggregate(self, entity: str, asked: Json) -> Json:
        """Numbers about the records that match as the server answers them: `data`, one group with the groups in it.

        Args:
            entity: `contacts` or `companies`.
            asked: conditions, and what is counted.
        """
        return self._call("POST", f"/{entity}/aggregate", json=asked)

    def explain(self, entity: str, uuid: str, vql: Json) -> Json:
        """Whether a query finds a record, and what each of its conditions says, as the server answers it.

        Args:
            entity: `contacts` or `companies`.
            uuid: of the record.
            vql: the query.
        """
        return self._call("POST", f"/{entity}/{uuid}/explain", json=vql)

    def history(self, entity: str, uuid: str, limit: int) -> list[Change]:
        """What happened to a record, newest first.

        Args:
            entity: `contacts` or `companies`.
            uuid: of the record.
            limit: maximum number of changes; more than 100 take several calls.
        """
        found: list[Change] = []
        asked: dict[str, Any] = {}
        while len(found) < limit:
            asked["limit"] = min(limit - len(found), 100)
            page = self._call("GET", f"/{entity}/{uuid}/history", params=asked)
            found += page["data"]
            if not (cursor := page.get("next_cursor")):
                break
            asked["cursor"] = cursor
        return found

    def _stored(self, method: str, path: str, **options: Any) -> Json:
        """An answer with a record, which gets its version from the ETag."""
        response = self._send(method, path, **options)
        answer = self._read(response)
        if version := response.headers.get("etag", "").strip('"'):
            answer["data"]["row_version"] = int(version)
        return answer

    def _call(self, method: str, path: str, **options: Any) -> Json:
        return self._read(self._send(method, path, **options))

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            request = self._http.build_request(method, path, **options)
        except ValueError as error:  # no text (half of a surrogate pair), or a number that JSON does not have (NaN)
            raise ClientError(f"this cannot be sent: {error}") from error
        try:
            response = self._http.send(request)
        except httpx.LocalProtocolError as error:
            raise ClientError(f"this cannot be sent: {error}") from error
        except httpx.HTTPError as error:
            raise unreachable(self.connection.url, error) from error
        if response.is_error:
            raise api_error(response)
        return response

    def _read(self, response: httpx.Response) -> Json:
        try:
            answer: Json = response.json()
        except ValueError as error:
            raise ClientError(f"{self.connection.url} does not answer like a Connectra server") from error
        return answer


def _path(entity: str, uuid: str) -> str:
    return f"/{entity}/{quote(uuid, safe='', errors='replace')}"


def api_error(response: httpx.Response) -> ApiError:
    """The error envelope as an exception; a reply that has none (of a proxy, say) is named by its HTTP status."""
    try:
        envelope = response.json()
        message, details = str(envelope["message"]), dict(envelope.get("details") or {})
        if response.status_code in _ABOUT_THE_KEY:
            message = f"{message} ({response.url.scheme}://{response.url.netloc.decode()})"
    except (ValueError, KeyError, TypeError):
        text = f"HTTP {response.status_code} {response.reason_phrase}".strip()
        return ApiError(
            text, status=response.status_code, retry_after=_seconds(response), request_id=_request_id(response)
        )
    fields = [FieldViolation(field["field"], field["message"]) for field in details.get("fields", ())]
    return ApiError(
        message,
        code=envelope.get("error_code", ""),
        status=response.status_code,
        reason=details.get("reason", ""),
        fields=fields,
        details=details,
        retry_after=_seconds(response),
        request_id=_request_id(response),
    )


def _request_id(response: httpx.Response) -> str:
    return str(response.headers.get("x-request-id", ""))


def _seconds(response: httpx.Response) -> float:
    """Of the Retry-After header; ours are always seconds."""
    after = response.headers.get("retry-after", "")
    return float(after) if after.isdecimal() else 0.0
