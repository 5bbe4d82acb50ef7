"""The typed client. `connectra_client.sync.client` is generated from this file by `make proto`: the same without `async` and `await`."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, get_args
from uuid import uuid4

from connectra_client.aio.calls import Channel, Opened, from_threads, in_thread, open_channel, sleep
from connectra_client.channel import Session, Tls
from connectra_client.connection import Connection, checked, find_connection
from connectra_client.errors import ClientError
from connectra_client.files import ONE_PUT_BYTES, PartsUpload, Store, Upload, arriving, read
from connectra_client.proto.aio import (
    IndexServiceStub,
    JobsServiceStub,
    KeysServiceStub,
    QueryServiceStub,
    WriteServiceStub,
)
from connectra_client.proto.connectra.common.v1 import Company, Contact, ExportFormat, Vql
from connectra_client.proto.connectra.jobs.v1 import (
    CancelJobRequest,
    CompleteUploadRequest,
    CreateJobRequest,
    CreateUploadPartUrlsRequest,
    CreateUploadRequest,
    CreateUploadUrlRequest,
    ExportQuery,
    GetJobRequest,
    ImportFile,
    Job,
    JobFile,
    ListJobFilesRequest,
    ListJobsRequest,
    RetryJobRequest,
    WatchJobRequest,
)
from connectra_client.proto.connectra.query.v1 import (
    AggregateCompaniesRequest,
    AggregateContactsRequest,
    Aggregation,
    CountCompaniesRequest,
    CountContactsRequest,
    ExportCompaniesRequest,
    ExportContactsRequest,
    GetCompanyRequest,
    GetContactRequest,
    Group,
    HistoryEntry,
    ListCompanyHistoryRequest,
    ListContactHistoryRequest,
    SearchCompaniesRequest,
    SearchContactsRequest,
)
from connectra_client.proto.connectra.write.v1 import (
    BatchResult,
    BatchUpsertCompaniesRequest,
    BatchUpsertContactsRequest,
    CreateCompanyRequest,
    CreateContactRequest,
    DeleteCompanyRequest,
    DeleteContactRequest,
    UpdateCompanyRequest,
    UpdateContactRequest,
    UpsertCompanyRequest,
    UpsertContactRequest,
)
from connectra_client.proto.google.protobuf import FieldMask
from connectra_client.retrying import PATIENCE_SECONDS, Patience
from connectra_client.vql_json import vql

T = TypeVar("T")

# A query: the message, or the JSON of docs/vql.md.
Query = Vql | Mapping[str, Any]
Entity = Literal["contacts", "companies"]


class Connectra(Opened):
    """A connection to a Connectra server, opened by a `with` statement (`async with`, if its calls are awaited).

    The methods here take and give records. `query`, `write`, `jobs`, `index` and `keys` have one method per RPC, with all that its messages
    can say, and with `timeout` (seconds; None: as long as it takes), `metadata` of that call and, where the server takes one,
    `idempotency_key`. Reads and searches see what was written before through the same object (`read_your_writes`).

    Every method may raise:

        ApiError: the server refused; `code` is the name of the gRPC status, `reason`, `fields` and `request_id` say more.
        Unreachable: nobody answers, or the connection broke. The next call opens a new one.
        ClientError: this object is not open, or has no address for the service.

    Args:
        url: address of the gateway; by default $CONNECTRA_URL, else the server that runs on this machine.
        api_key: by default $CONNECTRA_API_KEY, else the key of that server.
        query_url, write_url, jobs_url: addresses of services that are called directly, from inside; they take no key. With one of
            these there is a gateway only where `url` names it.
        timeout: deadline in seconds of calls with one answer, unless the call sets its own; None sets none. Streams have none.
        read_your_writes: if False, searches never wait for the index, and may lag up to a second behind one's own writes.
        ca_file: PEM file of the authorities to trust for https; by default those that grpcio comes with.
        certificate: PEM files of a certificate and its key, for servers that ask for one.

    Raises:
        ClientError: no server is known, its key is missing, or an address is invalid.
    """

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        query_url: str | None = None,
        write_url: str | None = None,
        jobs_url: str | None = None,
        timeout: float | None = 30.0,
        read_your_writes: bool = True,
        ca_file: str | Path | None = None,
        certificate: tuple[str | Path, str | Path] | None = None,
    ) -> None:
        direct = {"query": query_url, "write": write_url, "jobs": jobs_url}
        self._at = {name: checked(Connection(to.rstrip("/"))) for name, to in direct.items() if to}
        if url or not self._at:
            self._at = dict.fromkeys([*direct, "gateway"], find_connection(url, api_key)) | self._at
        pair = (Path(certificate[0]), Path(certificate[1])) if certificate else None
        self._tls = Tls(Path(ca_file) if ca_file else None, pair)
        self._session = Session(timeout, read_your_writes)
        self._channels: dict[Connection, Channel] = {}

    async def __aenter__(self) -> Self:
        self._channels = {to: open_channel(to, self._tls) for to in self._at.values()}
        self._session.is_open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.is_open = False
        for channel in self._channels.values():
            await channel.close()

    @property
    def query(self) -> QueryServiceStub:
        """Reads: one method per RPC."""
        return self._stub(QueryServiceStub, "query")

    @property
    def write(self) -> WriteServiceStub:
        """Changes: one method per RPC."""
        return self._stub(WriteServiceStub, "write")

    @property
    def jobs(self) -> JobsServiceStub:
        """Imports, exports and files: one method per RPC."""
        return self._stub(JobsServiceStub, "jobs")

    @property
    def index(self) -> IndexServiceStub:
        """Administration of the search index: one method per RPC."""
        return self._stub(IndexServiceStub, "write")

    @property
    def keys(self) -> KeysServiceStub:
        """The clients of the gateway and their keys: one method per RPC."""
        return self._stub(KeysServiceStub, "gateway")

    def _stub(self, stub: Callable[[Channel, str, Session], T], name: str) -> T:
        self._session.require_open()
        if name not in self._at:
            own = "" if name == "gateway" else f"{name}_url, or "
            raise ClientError(f"this client has no address for {name}: give it {own}the url of a gateway")
        to = self._at[name]
        return stub(self._channels[to], to.api_key, self._session)

    # ---- contacts

    async def get_contact(self, uuid: str, select_columns: Sequence[str] = ()) -> Contact:
        """One contact as the database has it now.

        Args:
            uuid: of the contact.
            select_columns: empty: all.
        """
        answer = await self.query.get_contact(GetContactRequest(uuid=uuid, select_columns=list(select_columns)))
        return _given(answer.contact)

    async def search_contacts(self, query: Query) -> AsyncIterator[Contact]:
        """All contacts that match, in the order of the query and as of now. Their companies: `query.search_contacts`.

        Args:
            query: its `limit`, `page`, `offset` and `cursor` do not matter.
        """
        async for answer in self.query.search_contacts(SearchContactsRequest(query=_message(query))):
            for row in answer.rows:
                yield _given(row.contact)

    async def count_contacts(self, query: Query) -> int:
        """How many contacts match."""
        return (await self.query.count_contacts(CountContactsRequest(query=_message(query)))).count

    async def aggregate_contacts(self, query: Query, aggregation: Aggregation | Mapping[str, Any]) -> Group:
        """Numbers about the contacts that match: one group, with the groups in it.

        Args:
            query: its conditions.
            aggregation: what is counted, also as JSON (docs/search.md).
        """
        asked = AggregateContactsRequest(query=_message(query), aggregation=_aggregation(aggregation))
        return _given((await self.query.aggregate_contacts(asked)).matches)

    async def contact_history(self, uuid: str) -> AsyncIterator[HistoryEntry]:
        """What happened to a contact, newest first."""
        asked = ListContactHistoryRequest(uuid=uuid, limit=100)
        while True:
            page = await self.query.list_contact_history(asked)
            for entry in page.entries:
                yield entry
            if not page.next_cursor:
                return
            asked.cursor = page.next_cursor

    async def create_contact(self, contact: Contact, *, idempotency_key: str | None = None) -> Contact:
        """Store a new contact; refused if it exists.

        Args:
            contact: its fields.
            idempotency_key: with it the call can be repeated, and still makes one contact.

        Returns:
            It as it is stored.
        """
        asked = CreateContactRequest(contact=contact)
        return _given((await self.write.create_contact(asked, idempotency_key=idempotency_key)).contact)

    async def upsert_contact(self, contact: Contact, *, idempotency_key: str | None = None) -> Contact:
        """Change the contact with this uuid, else e-mail, else profile URL, or create one.

        Args:
            contact: fields that are not set keep what they have.
            idempotency_key: with it a repeated call changes nothing.

        Returns:
            It as it is stored.
        """
        asked = UpsertContactRequest(contact=contact)
        return _given((await self.write.upsert_contact(asked, idempotency_key=idempotency_key)).contact)

    async def update_contact(
        self, contact: Contact, fields: Iterable[str] | None = None, *, row_version: int = 0
    ) -> Contact:
        """Change fields of a contact.

        Args:
            contact: its uuid, and new values.
            fields: to change; one of these that is not set is cleared. None: those that are set.
            row_version: that the contact must have; 0: any. Another one is refused (ABORTED).

        Returns:
            It as it is stored.
        """
        asked = UpdateContactRequest(contact=contact, update_mask=_mask(fields), row_version=row_version)
        return _given((await self.write.update_contact(asked)).contact)

    async def delete_contact(self, uuid: str, *, row_version: int = 0) -> None:
        """Delete a contact.

        Args:
            uuid: of the contact.
            row_version: that it must have; 0: any.
        """
        await self.write.delete_contact(DeleteContactRequest(uuid=uuid, row_version=row_version))

    async def upsert_contacts(self, contacts: Sequence[Contact], *, idempotency_key: str | None = None) -> BatchResult:
        """Upsert up to 2,000 contacts in one transaction. Those that are valid are stored even if others fail: see its `errors`."""
        asked = BatchUpsertContactsRequest(contacts=list(contacts))
        return _given((await self.write.batch_upsert_contacts(asked, idempotency_key=idempotency_key)).result)

    # ---- companies

    async def get_company(self, uuid: str, select_columns: Sequence[str] = ()) -> Company:
        """One company as the database has it now.

        Args:
            uuid: of the company.
            select_columns: empty: all.
        """
        answer = await self.query.get_company(GetCompanyRequest(uuid=uuid, select_columns=list(select_columns)))
        return _given(answer.company)

    async def search_companies(self, query: Query) -> AsyncIterator[Company]:
        """All companies that match, in the order of the query and as of now.

        Args:
            query: its `limit`, `page`, `offset` and `cursor` do not matter.
        """
        async for answer in self.query.search_companies(SearchCompaniesRequest(query=_message(query))):
            for row in answer.rows:
                yield _given(row.company)

    async def count_companies(self, query: Query) -> int:
        """How many companies match."""
        return (await self.query.count_companies(CountCompaniesRequest(query=_message(query)))).count

    async def aggregate_companies(self, query: Query, aggregation: Aggregation | Mapping[str, Any]) -> Group:
        """Numbers about the companies that match: one group, with the groups in it.

        Args:
            query: its conditions.
            aggregation: what is counted, also as JSON (docs/search.md).
        """
        asked = AggregateCompaniesRequest(query=_message(query), aggregation=_aggregation(aggregation))
        return _given((await self.query.aggregate_companies(asked)).matches)

    async def company_history(self, uuid: str) -> AsyncIterator[HistoryEntry]:
        """What happened to a company, newest first."""
        asked = ListCompanyHistoryRequest(uuid=uuid, limit=100)
        while True:
            page = await self.query.list_company_history(asked)
            for entry in page.entries:
                yield entry
            if not page.next_cursor:
                return
            asked.cursor = page.next_cursor

    async def create_company(self, company: Company, *, idempotency_key: str | None = None) -> Company:
        """Store a new company; refused if it exists.

        Args:
            company: its fields.
            idempotency_key: with it the call can be repeated, and still makes one company.

        Returns:
            It as it is stored.
        """
        asked = CreateCompanyRequest(company=company)
        return _given((await self.write.create_company(asked, idempotency_key=idempotency_key)).company)

    async def upsert_company(self, company: Company, *, idempotency_key: str | None = None) -> Company:
        """Change the company with this uuid, else domain, else profile URL, or create one.

        Args:
            company: fields that are not set keep what they have.
            idempotency_key: with it a repeated call changes nothing.

        Returns:
            It as it is stored.
        """
        asked = UpsertCompanyRequest(company=company)
        return _given((await self.write.upsert_company(asked, idempotency_key=idempotency_key)).company)

    async def update_company(
        self, company: Company, fields: Iterable[str] | None = None, *, row_version: int = 0
    ) -> Company:
        """Change fields of a company.

        Args:
            company: its uuid, and new values.
            fields: to change; one of these that is not set is cleared. None: those that are set.
            row_version: that the company must have; 0: any. Another one is refused (ABORTED).

        Returns:
            It as it is stored.
        """
        asked = UpdateCompanyRequest(company=company, update_mask=_mask(fields), row_version=row_version)
        return _given((await self.write.update_company(asked)).company)

    async def delete_company(self, uuid: str, *, row_version: int = 0) -> None:
        """Delete a company.

        Args:
            uuid: of the company.
            row_version: that it must have; 0: any.
        """
        await self.write.delete_company(DeleteCompanyRequest(uuid=uuid, row_version=row_version))

    async def upsert_companies(
        self, companies: Sequence[Company], *, idempotency_key: str | None = None
    ) -> BatchResult:
        """Upsert up to 2,000 companies in one transaction. Those that are valid are stored even if others fail: see its `errors`."""
        asked = BatchUpsertCompaniesRequest(companies=list(companies))
        return _given((await self.write.batch_upsert_companies(asked, idempotency_key=idempotency_key)).result)

    # ---- files and jobs

    async def import_csv(
        self, file: str | Path, *, columns: Mapping[str, str] | None = None, retry_count: int = 0
    ) -> Job:
        """Send a file and begin to import it; `wait_for_job` gives its end.

        Args:
            file: CSV or XLSX; may be larger than memory.
            columns: what columns mean, by header: a column of docs/fields.md, or "" to leave it out. The others mean what their
                names say.
            retry_count: how many times the job is run again after a failure.

        Raises:
            ClientError: the file cannot be read.
        """
        key = await self.upload(file)
        work = ImportFile(s3_key=key, columns=dict(columns or {}))
        return await self.create_job(work, retry_count=retry_count)

    async def export_csv(self, entity: Entity, query: Query, file: str | Path) -> int:
        """Write what matches into a file, as of now. For files of many gigabytes see `begin_export`, which goes on if this process dies.

        Args:
            entity: `contacts` or `companies`.
            query: its `select_columns` are the header.
            file: is replaced once all rows are here.

        Returns:
            The number of rows.

        Raises:
            ClientError: the file cannot be written.
        """
        if entity not in get_args(Entity):
            raise ClientError(f"{entity!r} is neither contacts nor companies")
        rows = 0
        with arriving(Path(file)) as out:
            if entity == "contacts":
                async for contacts in self.query.export_contacts(ExportContactsRequest(query=_message(query))):
                    out.write(contacts.data)
                    rows += contacts.rows
            else:
                async for companies in self.query.export_companies(ExportCompaniesRequest(query=_message(query))):
                    out.write(companies.data)
                    rows += companies.rows
        return rows

    async def begin_export(
        self, entity: Entity, query: Query, *, gzip: bool = False, ndjson: bool = False, retry_count: int = 0
    ) -> Job:
        """Begin to export what matches into the object store; `wait_for_job` gives its end, `job_files` then where the file is.

        Args:
            entity: `contacts` or `companies`.
            query: its `select_columns` are the header.
            gzip: whether the file is compressed.
            ndjson: a JSON object a line instead of CSV.
            retry_count: how many times the job is run again after a failure.
        """
        form = ExportFormat.NDJSON if ndjson else ExportFormat.CSV
        work = ExportQuery(service=entity, vql=_message(query), format=form, gzip=gzip)
        return await self.create_job(work, retry_count=retry_count)

    async def create_job(self, work: ImportFile | ExportQuery, *, retry_count: int = 0) -> Job:
        """Begin an import or an export with all that can be said of it, once, also if it takes several tries.

        Args:
            work: what a `Job` has as its `import_file` or `export_query`. `upload` gives the key of a file.
            retry_count: how many times the job is run again after a failure.
        """
        asked = CreateJobRequest(
            import_file=work if isinstance(work, ImportFile) else None,
            export_query=work if isinstance(work, ExportQuery) else None,
            retry_count=retry_count,
        )
        left, key = Patience(), str(uuid4())
        while True:
            try:
                return _given((await self.jobs.create_job(asked, idempotency_key=key)).job)
            except ClientError as error:
                seconds = left.pause(error)
            await sleep(seconds)

    async def get_job(self, uuid: str) -> Job:
        """The current state of a job."""
        return _given((await self.jobs.get_job(GetJobRequest(uuid=uuid))).job)

    async def list_jobs(self, statuses: Sequence[str] = ()) -> AsyncIterator[Job]:
        """Jobs, newest first.

        Args:
            statuses: only jobs in one of these states; empty: all.
        """
        asked = ListJobsRequest(statuses=list(statuses), limit=100)
        while True:
            page = await self.jobs.list_jobs(asked)
            for job in page.jobs:
                yield job
            if not page.next_cursor:
                return
            asked.cursor = page.next_cursor

    async def watch_job(self, uuid: str, *, patience: float = PATIENCE_SECONDS) -> AsyncIterator[Job]:
        """The job as it is now, then after every change, until it has ended for good.

        It goes on by itself after a broken connection, or while the server is away.

        Args:
            uuid: of the job.
            patience: seconds without an answer after which the error is raised all the same.
        """
        left, last = Patience(patience), None
        while True:
            try:
                async for answer in self.jobs.watch_job(WatchJobRequest(uuid=uuid)):
                    left.renew()
                    job = _given(answer.job)
                    if job != last:
                        yield job
                    last = job
                return
            except ClientError as error:
                seconds = left.pause(error)
            await sleep(seconds)

    async def wait_for_job(self, uuid: str, *, patience: float = PATIENCE_SECONDS) -> Job:
        """The job once it has ended: its `status` is `completed` or `failed`. See `watch_job`."""
        last = None
        async for job in self.watch_job(uuid, patience=patience):
            last = job
        return _given(last)

    async def cancel_job(self, uuid: str) -> Job:
        """Ask a job to stop: a running one stops at its next batch, and keeps what it has stored."""
        return _given((await self.jobs.cancel_job(CancelJobRequest(uuid=uuid))).job)

    async def retry_job(self, uuid: str) -> Job:
        """Have a failed job run again now."""
        return _given((await self.jobs.retry_job(RetryJobRequest(uuid=uuid))).job)

    async def job_files(self, uuid: str) -> list[JobFile]:
        """The files of a job, each with a URL that is good for minutes."""
        return (await self.jobs.list_job_files(ListJobFilesRequest(uuid=uuid))).files

    async def upload(self, file: str | Path) -> str:
        """Send a file to the object store: one of more than 64 MiB in parts.

        Returns:
            Its key, for an import.

        Raises:
            ClientError: the file cannot be read.
        """
        jobs, path = self.jobs, Path(file)
        try:
            size = await in_thread(lambda: path.stat().st_size)
            with Store(trust_env=not self._at["jobs"].loopback) as store:
                if size <= ONE_PUT_BYTES:
                    to = await jobs.create_upload_url(CreateUploadUrlRequest(filename=path.name))
                    content = read(path, lambda _: None)
                    await in_thread(partial(store.put, to.upload_url, content, size))
                    return to.s3_key
                asked = CreateUploadRequest(filename=path.name, size_bytes=size)
                begun = _given((await jobs.create_upload(asked)).upload)
                upload = Upload(upload_id=begun.upload_id, s3_key=begun.s3_key, part_size=begun.part_size)
                uploads = _Uploads(jobs, from_threads())
                await in_thread(PartsUpload(uploads, store, path, upload, lambda _: None).send)
                return begun.s3_key
        except OSError as error:
            raise ClientError(f"{path} cannot be read: {error.strerror}") from error


class _Uploads:
    """The calls of an upload in parts, which its threads wait for."""

    def __init__(self, jobs: JobsServiceStub, wait: Callable[[Any], Any]) -> None:
        self._jobs, self._wait = jobs, wait

    def upload_part_urls(self, upload_id: str, part_numbers: list[int]) -> dict[int, str]:
        asked = CreateUploadPartUrlsRequest(upload_id=upload_id, part_numbers=part_numbers)
        answer = self._wait(self._jobs.create_upload_part_urls(asked))
        return {part.part_number: part.upload_url for part in answer.parts}

    def complete_upload(self, upload_id: str) -> None:
        self._wait(self._jobs.complete_upload(CompleteUploadRequest(upload_id=upload_id)))


def _given(part: T | None) -> T:
    """What an answer always has."""
    if part is None:
        raise ClientError("the answer is incomplete: is this client much older or newer than the server?")
    return part


def _message(query: Query) -> Vql:
    return query if isinstance(query, Vql) else vql(query)


def _aggregation(asked: Aggregation | Mapping[str, Any]) -> Aggregation:
    if isinstance(asked, Aggregation):
        return asked
    try:
        return Aggregation.from_dict(asked)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ClientError(f"this is not an aggregation: {error}") from error


def _mask(fields: Iterable[str] | None) -> FieldMask | None:
    return None if fields is None else FieldMask(paths=list(fields))
