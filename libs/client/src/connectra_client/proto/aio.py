"""Stubs of the services. Generated from the contracts: DO NOT EDIT."""

from collections.abc import AsyncIterator

from connectra_client.aio.calls import Stub
from connectra_client.channel import DEFAULT, Metadata, Timeout
from connectra_client.proto.connectra.gateway.v1 import (
    CreateKeyRequest,
    CreateKeyResponse,
    ListKeysRequest,
    ListKeysResponse,
    RevokeKeyRequest,
    RevokeKeyResponse,
    RotateKeyRequest,
    RotateKeyResponse,
    UpdateKeyRequest,
    UpdateKeyResponse,
)
from connectra_client.proto.connectra.jobs.v1 import (
    AbortUploadRequest,
    AbortUploadResponse,
    CancelJobRequest,
    CancelJobResponse,
    CompleteUploadRequest,
    CompleteUploadResponse,
    CreateJobRequest,
    CreateJobResponse,
    CreateUploadPartUrlsRequest,
    CreateUploadPartUrlsResponse,
    CreateUploadRequest,
    CreateUploadResponse,
    CreateUploadUrlRequest,
    CreateUploadUrlResponse,
    GetJobRequest,
    GetJobResponse,
    ListJobFilesRequest,
    ListJobFilesResponse,
    ListJobsRequest,
    ListJobsResponse,
    ListUploadPartsRequest,
    ListUploadPartsResponse,
    PreviewImportRequest,
    PreviewImportResponse,
    RetryJobRequest,
    RetryJobResponse,
    WatchJobRequest,
    WatchJobResponse,
)
from connectra_client.proto.connectra.query.v1 import (
    AggregateCompaniesRequest,
    AggregateCompaniesResponse,
    AggregateContactsRequest,
    AggregateContactsResponse,
    BatchGetCompaniesRequest,
    BatchGetCompaniesResponse,
    BatchGetContactsRequest,
    BatchGetContactsResponse,
    CheckHealthRequest,
    CheckHealthResponse,
    CountCompaniesRequest,
    CountCompaniesResponse,
    CountContactsRequest,
    CountContactsResponse,
    ExplainCompanyRequest,
    ExplainCompanyResponse,
    ExplainContactRequest,
    ExplainContactResponse,
    ExportCompaniesRequest,
    ExportCompaniesResponse,
    ExportContactsRequest,
    ExportContactsResponse,
    GetCompanyRequest,
    GetCompanyResponse,
    GetContactRequest,
    GetContactResponse,
    ListColumnsRequest,
    ListColumnsResponse,
    ListCompaniesRequest,
    ListCompaniesResponse,
    ListCompanyHistoryRequest,
    ListCompanyHistoryResponse,
    ListContactHistoryRequest,
    ListContactHistoryResponse,
    ListContactsRequest,
    ListContactsResponse,
    ListFiltersRequest,
    ListFiltersResponse,
    ListFilterValuesRequest,
    ListFilterValuesResponse,
    SearchCompaniesRequest,
    SearchCompaniesResponse,
    SearchContactsRequest,
    SearchContactsResponse,
    SuggestCompaniesRequest,
    SuggestCompaniesResponse,
    SuggestContactsRequest,
    SuggestContactsResponse,
)
from connectra_client.proto.connectra.write.v1 import (
    BatchUpsertCompaniesRequest,
    BatchUpsertCompaniesResponse,
    BatchUpsertContactsRequest,
    BatchUpsertContactsResponse,
    BatchUpsertRowsRequest,
    BatchUpsertRowsResponse,
    CreateCompanyRequest,
    CreateCompanyResponse,
    CreateContactRequest,
    CreateContactResponse,
    DeleteCompanyRequest,
    DeleteCompanyResponse,
    DeleteContactRequest,
    DeleteContactResponse,
    DropPreviousIndexRequest,
    DropPreviousIndexResponse,
    GetIndexStatusRequest,
    GetIndexStatusResponse,
    ListDeadLettersRequest,
    ListDeadLettersResponse,
    ReindexRequest,
    ReindexResponse,
    ReplayDeadLettersRequest,
    ReplayDeadLettersResponse,
    RollbackIndexRequest,
    RollbackIndexResponse,
    UpdateCompanyRequest,
    UpdateCompanyResponse,
    UpdateContactRequest,
    UpdateContactResponse,
    UpsertCompanyRequest,
    UpsertCompanyResponse,
    UpsertContactRequest,
    UpsertContactResponse,
    VerifyRequest,
    VerifyResponse,
)


class KeysServiceStub(Stub):
    """The clients of the gateway and their keys, as `connectra keys` has them. The gateway serves it itself. A change takes effect within a second.
    Where the file of clients cannot be written, as a secret of Kubernetes, changes are FAILED_PRECONDITION (KEYS_READ_ONLY), and the list says so.
    """

    async def list_keys(
        self, message: ListKeysRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> ListKeysResponse:
        """All clients, in the order of the file; that of API_KEY comes first. Nothing tells a key but its first characters."""
        return await self._unary(
            "/connectra.gateway.v1.KeysService/ListKeys", message, ListKeysResponse, timeout, metadata
        )

    async def create_key(
        self, message: CreateKeyRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> CreateKeyResponse:
        """Adds a client with a new key, which is shown in this answer and never again. ALREADY_EXISTS if there is a client of this name."""
        return await self._unary(
            "/connectra.gateway.v1.KeysService/CreateKey", message, CreateKeyResponse, timeout, metadata
        )

    async def update_key(
        self, message: UpdateKeyRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> UpdateKeyResponse:
        """Changes the rights or the limit of a client; its keys stay as they are. NOT_FOUND; FAILED_PRECONDITION (OWN_KEY) for the client that
        calls, if it would lose `admin`, so that an administrator is left.
        """
        return await self._unary(
            "/connectra.gateway.v1.KeysService/UpdateKey", message, UpdateKeyResponse, timeout, metadata
        )

    async def rotate_key(
        self, message: RotateKeyRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> RotateKeyResponse:
        """Gives a client another key, which is shown in this answer and never again; its former keys go on for a while. NOT_FOUND."""
        return await self._unary(
            "/connectra.gateway.v1.KeysService/RotateKey", message, RotateKeyResponse, timeout, metadata
        )

    async def revoke_key(
        self, message: RevokeKeyRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> RevokeKeyResponse:
        """Removes a client and all of its keys. NOT_FOUND; FAILED_PRECONDITION (OWN_KEY) for the client that calls, so that an administrator is left."""
        return await self._unary(
            "/connectra.gateway.v1.KeysService/RevokeKey", message, RevokeKeyResponse, timeout, metadata
        )


class JobsServiceStub(Stub):
    """Background imports and exports of CSV files in the object store.

    Every job that is created is run: as soon as a worker is free, again after a crash from where it stopped, and after a failure up to its
    number of retries. Any method may fail with UNAVAILABLE or DEADLINE_EXCEEDED.
    """

    async def create_job(
        self,
        message: CreateJobRequest,
        *,
        timeout: Timeout = DEFAULT,
        metadata: Metadata | None = None,
        idempotency_key: str | None = None,
    ) -> CreateJobResponse:
        """Stores a job, durably once the call returns. INVALID_ARGUMENT lists every violation, including those in an export's query.
        With the metadata `idempotency-key`, repeating the call within 24 h stores nothing and returns the first answer;
        ALREADY_EXISTS if the key was used for a different request.
        """
        return await self._unary(
            "/connectra.jobs.v1.JobsService/CreateJob", message, CreateJobResponse, timeout, metadata, idempotency_key
        )

    async def list_jobs(
        self, message: ListJobsRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> ListJobsResponse:
        """Jobs, newest first. INVALID_ARGUMENT (LIMIT_TOO_HIGH, INVALID_LIMIT, or an invalid cursor)."""
        return await self._unary(
            "/connectra.jobs.v1.JobsService/ListJobs", message, ListJobsResponse, timeout, metadata
        )

    async def get_job(
        self, message: GetJobRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> GetJobResponse:
        """The current state of a job. NOT_FOUND."""
        return await self._unary("/connectra.jobs.v1.JobsService/GetJob", message, GetJobResponse, timeout, metadata)

    async def cancel_job(
        self, message: CancelJobRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> CancelJobResponse:
        """Asks a job to stop; a running job stops at its next batch and keeps what it stored. FAILED_PRECONDITION if it has ended."""
        return await self._unary(
            "/connectra.jobs.v1.JobsService/CancelJob", message, CancelJobResponse, timeout, metadata
        )

    async def retry_job(
        self, message: RetryJobRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> RetryJobResponse:
        """Runs a failed job again now. FAILED_PRECONDITION if it has not failed."""
        return await self._unary(
            "/connectra.jobs.v1.JobsService/RetryJob", message, RetryJobResponse, timeout, metadata
        )

    def watch_job(
        self, message: WatchJobRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> AsyncIterator[WatchJobResponse]:
        """The job as it is now, then after every change, until it has ended for good. An import may then not be searchable yet."""
        return self._stream("/connectra.jobs.v1.JobsService/WatchJob", message, WatchJobResponse, timeout, metadata)

    async def list_job_files(
        self, message: ListJobFilesRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> ListJobFilesResponse:
        """The files of a job, with download URLs that expire."""
        return await self._unary(
            "/connectra.jobs.v1.JobsService/ListJobFiles", message, ListJobFilesResponse, timeout, metadata
        )

    async def preview_import(
        self, message: PreviewImportRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> PreviewImportResponse:
        """What an import would make of the beginning of a file; stores nothing. INVALID_ARGUMENT if the file cannot be imported as it is, with the
        reason; NOT_FOUND if there is no such object.
        """
        return await self._unary(
            "/connectra.jobs.v1.JobsService/PreviewImport", message, PreviewImportResponse, timeout, metadata
        )

    async def create_upload_url(
        self, message: CreateUploadUrlRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> CreateUploadUrlResponse:
        """A URL that accepts one file by HTTP PUT, under a key chosen by the service. INVALID_ARGUMENT for an invalid file name."""
        return await self._unary(
            "/connectra.jobs.v1.JobsService/CreateUploadUrl", message, CreateUploadUrlResponse, timeout, metadata
        )

    async def create_upload(
        self, message: CreateUploadRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> CreateUploadResponse:
        """Begins the upload of a file in parts, for files of any size up to 5 TiB: parts can be sent in parallel, in any order, again after a
        broken connection, and later by another process. It belongs to the client that began it: for others it is NOT_FOUND. Unless it is
        completed before it expires, it is aborted. INVALID_ARGUMENT for an invalid file name or sizes that do not fit.
        """
        return await self._unary(
            "/connectra.jobs.v1.JobsService/CreateUpload", message, CreateUploadResponse, timeout, metadata
        )

    async def create_upload_part_urls(
        self, message: CreateUploadPartUrlsRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> CreateUploadPartUrlsResponse:
        """URLs that each accept one part by HTTP PUT. The last part sent under a number counts. NOT_FOUND; FAILED_PRECONDITION if the upload is
        complete.
        """
        return await self._unary(
            "/connectra.jobs.v1.JobsService/CreateUploadPartUrls",
            message,
            CreateUploadPartUrlsResponse,
            timeout,
            metadata,
        )

    async def list_upload_parts(
        self, message: ListUploadPartsRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> ListUploadPartsResponse:
        """The parts that the store has, in order, so that only the others need to be sent. NOT_FOUND."""
        return await self._unary(
            "/connectra.jobs.v1.JobsService/ListUploadParts", message, ListUploadPartsResponse, timeout, metadata
        )

    async def complete_upload(
        self, message: CompleteUploadRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> CompleteUploadResponse:
        """Turns the parts into the object that an import can read. Repeating the call is safe and returns the same. FAILED_PRECONDITION, with
        `missing` in the metadata, if a part before the last is missing or smaller than 5 MiB, or the parts do not have `size_bytes`. NOT_FOUND.
        """
        return await self._unary(
            "/connectra.jobs.v1.JobsService/CompleteUpload", message, CompleteUploadResponse, timeout, metadata
        )

    async def abort_upload(
        self, message: AbortUploadRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> AbortUploadResponse:
        """Gives an unfinished upload up and removes its parts. NOT_FOUND; FAILED_PRECONDITION if it is complete."""
        return await self._unary(
            "/connectra.jobs.v1.JobsService/AbortUpload", message, AbortUploadResponse, timeout, metadata
        )


class QueryServiceStub(Stub):
    """Reads: search, counts, single records, filters and their values, export streams. Nothing here changes data.

    Any method may fail with UNAVAILABLE (a dependency is down; try again) or DEADLINE_EXCEEDED. A call that sends the metadata
    `x-consistency-token` of an earlier write sees that write. Soft-deleted records are never returned; administrators see their history.
    """

    async def list_companies(
        self, message: ListCompaniesRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> ListCompaniesResponse:
        """One page of companies in the requested order, not a snapshot: rows that change between two pages may move.
        INVALID_ARGUMENT lists every violation of the query.
        """
        return await self._unary(
            "/connectra.query.v1.QueryService/ListCompanies", message, ListCompaniesResponse, timeout, metadata
        )

    async def count_companies(
        self, message: CountCompaniesRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> CountCompaniesResponse:
        """Exact number of matching companies; order and paging are validated but have no effect. INVALID_ARGUMENT as in ListCompanies."""
        return await self._unary(
            "/connectra.query.v1.QueryService/CountCompanies", message, CountCompaniesResponse, timeout, metadata
        )

    async def aggregate_companies(
        self, message: AggregateCompaniesRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> AggregateCompaniesResponse:
        """Numbers about all companies that match: groups of them by up to two fields, and counts of distinct values, percentiles and first records of
        each group. Exact, or with the bound of its error. INVALID_ARGUMENT lists every violation, and says so when the groups are too many.
        """
        return await self._unary(
            "/connectra.query.v1.QueryService/AggregateCompanies",
            message,
            AggregateCompaniesResponse,
            timeout,
            metadata,
        )

    async def suggest_companies(
        self, message: SuggestCompaniesRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> SuggestCompaniesResponse:
        """For a search box: values of companies that have a word which begins as what was typed, the most frequent first. INVALID_ARGUMENT lists every
        violation.
        """
        return await self._unary(
            "/connectra.query.v1.QueryService/SuggestCompanies", message, SuggestCompaniesResponse, timeout, metadata
        )

    async def get_company(
        self, message: GetCompanyRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> GetCompanyResponse:
        """One company, read from the database, so always current. NOT_FOUND if it does not exist or is deleted, INVALID_ARGUMENT for a bad uuid or
        column.
        """
        return await self._unary(
            "/connectra.query.v1.QueryService/GetCompany", message, GetCompanyResponse, timeout, metadata
        )

    async def explain_company(
        self, message: ExplainCompanyRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> ExplainCompanyResponse:
        """Why a query finds one company, or why it does not: each condition with what the company has there, by what the database has now; the
        index may be behind. NOT_FOUND if it does not exist or is deleted, INVALID_ARGUMENT for a bad uuid or query.
        """
        return await self._unary(
            "/connectra.query.v1.QueryService/ExplainCompany", message, ExplainCompanyResponse, timeout, metadata
        )

    async def list_company_history(
        self, message: ListCompanyHistoryRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> ListCompanyHistoryResponse:
        """What happened to one company, newest first, read from the database, so always current. Who did it, with which request or job, is told
        of what the caller did itself or by imports; with the right `admin`, of everything. NOT_FOUND if there is no such company or, without
        that right, if it is deleted. INVALID_ARGUMENT for a bad uuid, limit or cursor.
        """
        return await self._unary(
            "/connectra.query.v1.QueryService/ListCompanyHistory",
            message,
            ListCompanyHistoryResponse,
            timeout,
            metadata,
        )

    async def batch_get_companies(
        self, message: BatchGetCompaniesRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> BatchGetCompaniesResponse:
        """Up to 1,000 companies by uuid, in the requested order; uuids without a record are listed separately."""
        return await self._unary(
            "/connectra.query.v1.QueryService/BatchGetCompanies", message, BatchGetCompaniesResponse, timeout, metadata
        )

    def search_companies(
        self, message: SearchCompaniesRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> AsyncIterator[SearchCompaniesResponse]:
        """All matching companies as of the time of the call, in the requested order and without a depth limit. Ends early only with an error."""
        return self._stream(
            "/connectra.query.v1.QueryService/SearchCompanies", message, SearchCompaniesResponse, timeout, metadata
        )

    def export_companies(
        self, message: ExportCompaniesRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> AsyncIterator[ExportCompaniesResponse]:
        """The result of a query as a file in chunks, header line included, as of the time of the call. Ends early only with an error:
        a stream that ends with OK is complete. INVALID_ARGUMENT as in ListCompanies, and when no column is selected. The audit trail has who
        took how many rows.
        """
        return self._stream(
            "/connectra.query.v1.QueryService/ExportCompanies", message, ExportCompaniesResponse, timeout, metadata
        )

    async def list_contacts(
        self, message: ListContactsRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> ListContactsResponse:
        """One page of contacts in the requested order, not a snapshot: rows that change between two pages may move.
        INVALID_ARGUMENT lists every violation of the query.
        """
        return await self._unary(
            "/connectra.query.v1.QueryService/ListContacts", message, ListContactsResponse, timeout, metadata
        )

    async def count_contacts(
        self, message: CountContactsRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> CountContactsResponse:
        """Exact number of matching contacts; order and paging are validated but have no effect. INVALID_ARGUMENT as in ListContacts."""
        return await self._unary(
            "/connectra.query.v1.QueryService/CountContacts", message, CountContactsResponse, timeout, metadata
        )

    async def aggregate_contacts(
        self, message: AggregateContactsRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> AggregateContactsResponse:
        """Numbers about all contacts that match: groups of them by up to two fields, and counts of distinct values, percentiles and first records of
        each group. Exact, or with the bound of its error. INVALID_ARGUMENT lists every violation, and says so when the groups are too many.
        """
        return await self._unary(
            "/connectra.query.v1.QueryService/AggregateContacts", message, AggregateContactsResponse, timeout, metadata
        )

    async def suggest_contacts(
        self, message: SuggestContactsRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> SuggestContactsResponse:
        """For a search box: values of contacts that have a word which begins as what was typed, the most frequent first. INVALID_ARGUMENT lists every
        violation.
        """
        return await self._unary(
            "/connectra.query.v1.QueryService/SuggestContacts", message, SuggestContactsResponse, timeout, metadata
        )

    async def get_contact(
        self, message: GetContactRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> GetContactResponse:
        """One contact, read from the database, so always current. NOT_FOUND if it does not exist or is deleted, INVALID_ARGUMENT for a bad uuid or
        column.
        """
        return await self._unary(
            "/connectra.query.v1.QueryService/GetContact", message, GetContactResponse, timeout, metadata
        )

    async def explain_contact(
        self, message: ExplainContactRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> ExplainContactResponse:
        """Why a query finds one contact, or why it does not: each condition with what the contact has there, by what the database has now; the
        index may be behind. NOT_FOUND if it does not exist or is deleted, INVALID_ARGUMENT for a bad uuid or query.
        """
        return await self._unary(
            "/connectra.query.v1.QueryService/ExplainContact", message, ExplainContactResponse, timeout, metadata
        )

    async def list_contact_history(
        self, message: ListContactHistoryRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> ListContactHistoryResponse:
        """What happened to one contact, newest first, read from the database, so always current. Who did it, with which request or job, is told
        of what the caller did itself or by imports; with the right `admin`, of everything. NOT_FOUND if there is no such contact or, without
        that right, if it is deleted. INVALID_ARGUMENT for a bad uuid, limit or cursor.
        """
        return await self._unary(
            "/connectra.query.v1.QueryService/ListContactHistory",
            message,
            ListContactHistoryResponse,
            timeout,
            metadata,
        )

    async def batch_get_contacts(
        self, message: BatchGetContactsRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> BatchGetContactsResponse:
        """Up to 1,000 contacts by uuid, in the requested order; uuids without a record are listed separately."""
        return await self._unary(
            "/connectra.query.v1.QueryService/BatchGetContacts", message, BatchGetContactsResponse, timeout, metadata
        )

    def search_contacts(
        self, message: SearchContactsRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> AsyncIterator[SearchContactsResponse]:
        """All matching contacts as of the time of the call, in the requested order and without a depth limit. Ends early only with an error."""
        return self._stream(
            "/connectra.query.v1.QueryService/SearchContacts", message, SearchContactsResponse, timeout, metadata
        )

    def export_contacts(
        self, message: ExportContactsRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> AsyncIterator[ExportContactsResponse]:
        """The result of a query as a file in chunks, header line included, as of the time of the call. Ends early only with an error:
        a stream that ends with OK is complete. INVALID_ARGUMENT as in ListContacts, and when no column is selected. The audit trail has who
        took how many rows.
        """
        return self._stream(
            "/connectra.query.v1.QueryService/ExportContacts", message, ExportContactsResponse, timeout, metadata
        )

    async def list_filters(
        self, message: ListFiltersRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> ListFiltersResponse:
        """The filters of companies or contacts, ordered by id. INVALID_ARGUMENT (UNSUPPORTED_SERVICE) for any other service."""
        return await self._unary(
            "/connectra.query.v1.QueryService/ListFilters", message, ListFiltersResponse, timeout, metadata
        )

    async def list_filter_values(
        self, message: ListFilterValuesRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> ListFilterValuesResponse:
        """One page of a filter's distinct values, in order. NOT_FOUND for an unknown filter."""
        return await self._unary(
            "/connectra.query.v1.QueryService/ListFilterValues", message, ListFilterValuesResponse, timeout, metadata
        )

    async def list_columns(
        self, message: ListColumnsRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> ListColumnsResponse:
        """The columns of companies or contacts in table order, for contacts followed by those of their company (`company.name`), with what may be done
        with each. INVALID_ARGUMENT (UNSUPPORTED_SERVICE) for any other service.
        """
        return await self._unary(
            "/connectra.query.v1.QueryService/ListColumns", message, ListColumnsResponse, timeout, metadata
        )

    async def check_health(
        self, message: CheckHealthRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> CheckHealthResponse:
        """Checks each dependency of the service now. Always OK; the answer says what is down."""
        return await self._unary(
            "/connectra.query.v1.QueryService/CheckHealth", message, CheckHealthResponse, timeout, metadata
        )


class IndexServiceStub(Stub):
    """Administration of the search index: how far it lags behind, what it rejected, rebuilding it, comparing it with the database."""

    async def get_index_status(
        self, message: GetIndexStatusRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> GetIndexStatusResponse:
        """The current size of the outbox, number of dead letters, and indices of both entities."""
        return await self._unary(
            "/connectra.write.v1.IndexService/GetIndexStatus", message, GetIndexStatusResponse, timeout, metadata
        )

    async def list_dead_letters(
        self, message: ListDeadLettersRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> ListDeadLettersResponse:
        """Documents that Elasticsearch rejects permanently, ordered by entity and uuid, with its reason."""
        return await self._unary(
            "/connectra.write.v1.IndexService/ListDeadLetters", message, ListDeadLettersResponse, timeout, metadata
        )

    async def replay_dead_letters(
        self, message: ReplayDeadLettersRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> ReplayDeadLettersResponse:
        """Puts dead letters back into the outbox. Those that are rejected again return with the new reason."""
        return await self._unary(
            "/connectra.write.v1.IndexService/ReplayDeadLetters", message, ReplayDeadLettersResponse, timeout, metadata
        )

    def reindex(
        self, message: ReindexRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> AsyncIterator[ReindexResponse]:
        """Builds a new index beside the live one while writes go on, compares the two, and switches the alias atomically. The old index is kept for
        a rollback. Indexers do the work, whether or not the caller stays; calling again while it is under way follows it.
        FAILED_PRECONDITION if the rebuild is held because the new index refuses documents or is not like the database (the alias then stays, and
        another call has it go on), if another operation is under way, or if there is nothing to abort; ABORTED if it was aborted meanwhile, also
        because somebody removed the new index.
        """
        return self._stream("/connectra.write.v1.IndexService/Reindex", message, ReindexResponse, timeout, metadata)

    async def rollback_index(
        self, message: RollbackIndexRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> RollbackIndexResponse:
        """Brings the index from before the last rebuild up to date, and then switches the alias back to it. Indexers do the work, as for Reindex.
        Answers when that is done, or after 20 seconds with how far it has come: call again to hear more. Calling again afterwards changes nothing.
        FAILED_PRECONDITION if there is no such index, another operation is under way, or the rollback is held; ABORTED if it was aborted.
        """
        return await self._unary(
            "/connectra.write.v1.IndexService/RollbackIndex", message, RollbackIndexResponse, timeout, metadata
        )

    async def drop_previous_index(
        self, message: DropPreviousIndexRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> DropPreviousIndexResponse:
        """Deletes the index that was kept by the last rebuild or rollback. FAILED_PRECONDITION if there is none, or another operation is under way."""
        return await self._unary(
            "/connectra.write.v1.IndexService/DropPreviousIndex", message, DropPreviousIndexResponse, timeout, metadata
        )

    def verify(
        self, message: VerifyRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> AsyncIterator[VerifyResponse]:
        """Walks database and index in key order and reports missing, ghost, stale and different documents; repairs them on request.
        Records that are still in the outbox, and dead letters, do not count as drift. Each message has the totals. Indexers do the work, as for
        Reindex. FAILED_PRECONDITION if a verification with other limits is under way.
        """
        return self._stream("/connectra.write.v1.IndexService/Verify", message, VerifyResponse, timeout, metadata)


class WriteServiceStub(Stub):
    """Changes to companies and contacts. Each call is one transaction: it is stored completely or not at all (for batches, see there), durable
    once it returns OK, and queued for the search index in the same transaction; search sees it within a second.

    Every answer carries a consistency token, also as metadata `x-consistency-token`; a query that sends it back sees the write, and waits for
    nothing else. Several tokens are divided by commas; a write that is sent with tokens answers with one that covers them as well.
    INVALID_ARGUMENT lists every violation. Any method may fail with UNAVAILABLE or DEADLINE_EXCEEDED; the write may have happened all the
    same, and all methods but Create are safe to repeat. Create, Upsert and batches take the metadata `idempotency-key`: repeating the request
    within 24 h changes nothing and returns the first answer; ALREADY_EXISTS if the key was used for a different request.
    """

    async def create_company(
        self,
        message: CreateCompanyRequest,
        *,
        timeout: Timeout = DEFAULT,
        metadata: Metadata | None = None,
        idempotency_key: str | None = None,
    ) -> CreateCompanyResponse:
        """Stores a new company. ALREADY_EXISTS (CONFLICT, with the existing uuid in the metadata) if its uuid is taken. A deleted company is
        restored with only the given fields; all others are empty.
        """
        return await self._unary(
            "/connectra.write.v1.WriteService/CreateCompany",
            message,
            CreateCompanyResponse,
            timeout,
            metadata,
            idempotency_key,
        )

    async def update_company(
        self, message: UpdateCompanyRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> UpdateCompanyResponse:
        """Changes the fields named by the mask, or those that are set if there is no mask. NOT_FOUND, or ABORTED (CONFLICT) if row_version is
        given and is not the stored one.
        """
        return await self._unary(
            "/connectra.write.v1.WriteService/UpdateCompany", message, UpdateCompanyResponse, timeout, metadata
        )

    async def delete_company(
        self, message: DeleteCompanyRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> DeleteCompanyResponse:
        """Soft delete. NOT_FOUND, also if already deleted. ABORTED as in UpdateCompany."""
        return await self._unary(
            "/connectra.write.v1.WriteService/DeleteCompany", message, DeleteCompanyResponse, timeout, metadata
        )

    async def upsert_company(
        self,
        message: UpsertCompanyRequest,
        *,
        timeout: Timeout = DEFAULT,
        metadata: Metadata | None = None,
        idempotency_key: str | None = None,
    ) -> UpsertCompanyResponse:
        """Updates the record with this uuid; else the one with this normalized_domain, else with this linkedin_url; else the one with the uuid made of
        its name and linkedin_url, unless that has another domain or linkedin_url; else creates one. ALREADY_EXISTS (CONFLICT) if several live
        records have the domain or URL; the message names them. Revives a deleted record.
        """
        return await self._unary(
            "/connectra.write.v1.WriteService/UpsertCompany",
            message,
            UpsertCompanyResponse,
            timeout,
            metadata,
            idempotency_key,
        )

    async def batch_upsert_companies(
        self,
        message: BatchUpsertCompaniesRequest,
        *,
        timeout: Timeout = DEFAULT,
        metadata: Metadata | None = None,
        idempotency_key: str | None = None,
    ) -> BatchUpsertCompaniesResponse:
        """Up to 2,000 upserts in one transaction, with the same result as one by one. Valid records are stored even if others fail; the answer says
        which failed and why.
        """
        return await self._unary(
            "/connectra.write.v1.WriteService/BatchUpsertCompanies",
            message,
            BatchUpsertCompaniesResponse,
            timeout,
            metadata,
            idempotency_key,
        )

    async def create_contact(
        self,
        message: CreateContactRequest,
        *,
        timeout: Timeout = DEFAULT,
        metadata: Metadata | None = None,
        idempotency_key: str | None = None,
    ) -> CreateContactResponse:
        """Stores a new contact. ALREADY_EXISTS (CONFLICT, with the existing uuid in the metadata) if its uuid is taken. A deleted contact is
        restored with only the given fields; all others are empty.
        """
        return await self._unary(
            "/connectra.write.v1.WriteService/CreateContact",
            message,
            CreateContactResponse,
            timeout,
            metadata,
            idempotency_key,
        )

    async def update_contact(
        self, message: UpdateContactRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> UpdateContactResponse:
        """Changes the fields named by the mask, or those that are set if there is no mask. NOT_FOUND, or ABORTED (CONFLICT) if row_version is
        given and is not the stored one.
        """
        return await self._unary(
            "/connectra.write.v1.WriteService/UpdateContact", message, UpdateContactResponse, timeout, metadata
        )

    async def delete_contact(
        self, message: DeleteContactRequest, *, timeout: Timeout = DEFAULT, metadata: Metadata | None = None
    ) -> DeleteContactResponse:
        """Soft delete. NOT_FOUND, also if already deleted. ABORTED as in UpdateContact."""
        return await self._unary(
            "/connectra.write.v1.WriteService/DeleteContact", message, DeleteContactResponse, timeout, metadata
        )

    async def upsert_contact(
        self,
        message: UpsertContactRequest,
        *,
        timeout: Timeout = DEFAULT,
        metadata: Metadata | None = None,
        idempotency_key: str | None = None,
    ) -> UpsertContactResponse:
        """Updates the record with this uuid; else the one with this email, else with this linkedin_url; else the one with the uuid made of its names
        and linkedin_url (or email), unless that has another email or linkedin_url; else creates one. ALREADY_EXISTS (CONFLICT) if several live
        records have the email or URL; the message names them. Revives a deleted record.
        """
        return await self._unary(
            "/connectra.write.v1.WriteService/UpsertContact",
            message,
            UpsertContactResponse,
            timeout,
            metadata,
            idempotency_key,
        )

    async def batch_upsert_contacts(
        self,
        message: BatchUpsertContactsRequest,
        *,
        timeout: Timeout = DEFAULT,
        metadata: Metadata | None = None,
        idempotency_key: str | None = None,
    ) -> BatchUpsertContactsResponse:
        """Up to 2,000 upserts in one transaction, with the same result as one by one. Valid records are stored even if others fail; the answer says
        which failed and why.
        """
        return await self._unary(
            "/connectra.write.v1.WriteService/BatchUpsertContacts",
            message,
            BatchUpsertContactsResponse,
            timeout,
            metadata,
            idempotency_key,
        )

    async def batch_upsert_rows(
        self,
        message: BatchUpsertRowsRequest,
        *,
        timeout: Timeout = DEFAULT,
        metadata: Metadata | None = None,
        idempotency_key: str | None = None,
    ) -> BatchUpsertRowsResponse:
        """Up to 100 rows of named CSV columns, each yielding a company and a contact by the rules of an import: they mean the record of their uuid,
        else of their profile URL, else the one made of their names, not the one of their email.
        """
        return await self._unary(
            "/connectra.write.v1.WriteService/BatchUpsertRows",
            message,
            BatchUpsertRowsResponse,
            timeout,
            metadata,
            idempotency_key,
        )
