"""SQLAlchemy's view of the tables. The migrations define them; a test checks that the two agree."""

from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Interval,
    MetaData,
    Sequence,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import BIT, JSONB
from sqlalchemy.types import TypeEngine

from connectra_common.records.fields import COMPANY, CONTACT, Entity, Type

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "uq": "%(table_name)s_%(column_0_name)s_key",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "ck": "%(table_name)s_%(constraint_name)s_check",
    }
)

row_version_seq = Sequence("row_version_seq", metadata=metadata, data_type=BigInteger)
outbox_seq = Sequence("outbox_seq", metadata=metadata, data_type=BigInteger)

_TYPES: dict[Type, TypeEngine[Any]] = {
    Type.INTEGER: BigInteger(),
    Type.TEXT: Text(),
    Type.LIST: ARRAY(Text()),
    Type.TIME: DateTime(timezone=True),
}
_NOW = text("now()")


def _uuid(**more: object) -> Column[str]:
    # Ordered by bytes, as Elasticsearch orders keywords: both stores can be walked in one key order.
    return Column("uuid", Text(collation="C"), nullable=False, **more)  # type: ignore[arg-type]


def _records(entity: Entity, *indexes: Index) -> Table:
    columns: list[Column] = []  # type: ignore[type-arg]
    for field in entity.fields:
        if field.name == "id":
            columns.append(Column("id", BigInteger(), Identity(always=False), primary_key=True))
        elif field.name == "uuid":
            columns.append(_uuid(unique=True))
        elif field.name in ("created_at", "updated_at"):
            columns.append(Column(field.name, _TYPES[field.type], nullable=False, server_default=_NOW))
        elif field.name == "company_id":
            columns.append(Column("company_id", Text(collation="C")))  # compared with companies.uuid
        else:
            columns.append(Column(field.name, _TYPES[field.type]))
    columns.append(Column("row_version", BigInteger(), nullable=False, server_default=row_version_seq.next_value()))
    deleted = Index(f"{entity.table}_deleted_at_idx", "deleted_at", postgresql_where=text("deleted_at IS NOT NULL"))
    indexes = (*indexes, deleted)
    return Table(entity.table, metadata, *columns, *indexes)


def _values(table: str, name: str, number: bool = False) -> Index:
    # Values of a filter that are read from the column, live records only; text by bytes (COLLATE "C" in the migration).
    live = f"{name} IS NOT NULL" if number else f"{name} <> '' AND octet_length({name}) <= 1000"
    return Index(f"{table}_{name}_values_idx", name, postgresql_where=text(f"deleted_at IS NULL AND {live}"))


companies = _records(
    COMPANY,
    *(_values("companies", f.name, f.type is Type.INTEGER) for f in COMPANY.column_filters),
)
contacts = _records(
    CONTACT,
    # A company's contacts, in the order in which they are walked over.
    Index("contacts_company_id_uuid_idx", "company_id", "uuid"),
    *(_values("contacts", f.name) for f in CONTACT.column_filters),
)

# Which records have a key by which they are matched (records/keys.py).
match_keys = Table(
    "match_keys",
    metadata,
    Column("key", BigInteger, nullable=False),
    Column("record_id", BigInteger, nullable=False),
    Index("match_keys_key_idx", "key", "record_id"),
)

# A row that a transaction inserts and deletes is a lock on a key until it ends.
key_locks = Table(
    "key_locks",
    metadata,
    Column("key", BigInteger, primary_key=True, autoincrement=False),
    prefixes=["UNLOGGED"],
)

filters = Table(
    "filters",
    metadata,
    Column("id", BigInteger, Identity(always=False), primary_key=True),
    Column("key", Text, nullable=False),
    Column("service", Text, nullable=False),
    Column("filter_type", Text, nullable=False),
    Column("display_name", Text, nullable=False),
    Column("direct_derived", Boolean, nullable=False, server_default=text("false")),
    Column("active", Boolean, nullable=False, server_default=text("true")),
    Column("deleted_at", DateTime(timezone=True)),
    UniqueConstraint("service", "key", name="filters_service_key_key"),
)

filters_data = Table(
    "filters_data",
    metadata,
    Column("id", BigInteger, Identity(always=False), primary_key=True),
    _uuid(unique=True),
    Column("filter_key", Text, nullable=False),
    Column("service", Text, nullable=False),
    Column("display_value", Text, nullable=False),
    Column("value", Text),
    Column("deleted_at", DateTime(timezone=True)),
    # How often records have it, but for what is in filter_value_changes.
    Column("uses", BigInteger, nullable=False, server_default=text("0")),
    Index(
        "filters_data_display_idx",
        "service",
        "filter_key",
        "display_value",
        "value",
        postgresql_where=text(
            "deleted_at IS NULL AND octet_length(display_value) <= 1000 AND octet_length(value) <= 1000"
        ),
    ),
    Index(
        "filters_data_trigrams_idx",
        "display_value",
        postgresql_using="gin",
        postgresql_where=text("deleted_at IS NULL"),
    ),
)

# What statements have changed in the use of stored filter values, until it is added to them; arrays of one length.
filter_value_changes = Table(
    "filter_value_changes",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("entity", Text, nullable=False),
    Column("filter_keys", ARRAY(Text()), nullable=False),
    Column("filter_values", ARRAY(Text()), nullable=False),
    # NULL, or shorter: the value.
    Column("display_values", ARRAY(Text())),
    Column("changes", ARRAY(BigInteger()), nullable=False),
)

# Changes not yet in the index. One row per changed record, however often it changed.
outbox = Table(
    "outbox",
    metadata,
    Column("entity", Text, primary_key=True),
    Column("uuid", Text(collation="C"), primary_key=True),
    # Of the oldest change that the index does not have; consistency tokens are compared with it.
    Column("first_seq", BigInteger, nullable=False, server_default=outbox_seq.next_value()),
    Column("generation", BigInteger, nullable=False, server_default=text("1")),
    # A company whose copied fields changed: its contacts must be marked too.
    Column("fan_out", Boolean, nullable=False, server_default=text("false")),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("claimed_until", DateTime(timezone=True)),
    Column("marked_at", DateTime(timezone=True), nullable=False, server_default=_NOW),
    # Distinguishes a row from an earlier one with the same key.
    Column("row_id", BigInteger, Identity(always=True), nullable=False),
    # The row of `indexers` working on it until `claimed_until`.
    Column("claimed_by", Integer),
    # Progress of the walk over a company's contacts, and the mark it began with; for a contact, the last mark by such a walk.
    Column("fan_out_after", Text(collation="C"), nullable=False, server_default=text("''")),
    Column("fan_out_generation", BigInteger, nullable=False, server_default=text("1")),
    # A contact that is marked for the sake of its company: that company.
    Column("copies_of", Text(collation="C")),
    # 0 interactive, 1 bulks and imports, 2 fan-out and repairs: what the marking transaction says, and of several marks the least.
    Column(
        "lane",
        SmallInteger,
        nullable=False,
        server_default=text("coalesce(nullif(current_setting('connectra.lane', true), ''), '0')::smallint"),
    ),
    # By `queues.QUEUE`, which says why no other index has a column of this one.
    Index("outbox_queues_idx", text("(lane * 2 + (entity = 'company')::int)"), "first_seq"),
    Index("outbox_copies_of_idx", "copies_of", postgresql_where=text("copies_of IS NOT NULL")),
)

# Batches of records that were written at once, until the index has all of them: what their consistency tokens name.
written_batches = Table(
    "written_batches",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    # Number of a mark; those of the batch are not above it.
    Column("mark", BigInteger, nullable=False),
    Column("companies", ARRAY(Text(collation="C")), nullable=False),
    Column("contacts", ARRAY(Text(collation="C")), nullable=False),
    # The import that it is a part of.
    Column("job_uuid", Text(collation="C")),
    Index("written_batches_job_uuid_idx", "job_uuid", postgresql_where=text("job_uuid IS NOT NULL")),
)

# Live indexer processes; one whose advisory lock is free has died.
indexers = Table(
    "indexers",
    metadata,
    Column("id", Integer, Identity(always=True), primary_key=True),
    Column("host", Text, nullable=False),
    Column("started_at", DateTime(timezone=True), nullable=False, server_default=_NOW),
)

# What operators have done with an index, and the comparison that never ends; those without an end are under way.
index_operations = Table(
    "index_operations",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("entity", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("phase", Text, nullable=False, server_default=text("'waiting'")),
    # It goes on when it is asked for again.
    Column("held", Boolean, nullable=False, server_default=text("false")),
    # What it waits for, or why it is held or was aborted.
    Column("reason", Text, nullable=False, server_default=text("''")),
    Column("abort", Boolean, nullable=False, server_default=text("false")),
    Column("asked", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    # What a verification has found so far.
    Column("found", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    # The index that is to go live, and the one that it replaces.
    Column("index_name", Text),
    Column("previous", Text),
    Column("after_uuid", Text(collation="C"), nullable=False, server_default=text("''")),
    Column("documents_done", BigInteger, nullable=False, server_default=text("0")),
    Column("documents_total", BigInteger, nullable=False, server_default=text("0")),
    # Who asked for it, as in the audit trail.
    Column("actor", Text, nullable=False, server_default=text("''")),
    Column("request_id", Text, nullable=False, server_default=text("''")),
    # The indexer that carries it out.
    Column("claimed_by", Integer),
    Column("started_at", DateTime(timezone=True), nullable=False, server_default=_NOW),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=_NOW),
    Column("ended_at", DateTime(timezone=True)),
    CheckConstraint("kind IN ('rebuild', 'rollback', 'drop_previous', 'verify', 'check')", name="kind"),
    CheckConstraint(
        "phase IN ('waiting', 'building', 'comparing', 'switching', 'walking', 'done', 'aborted')", name="phase"
    ),
    Index("index_operations_entity_idx", "entity", postgresql_where=text("ended_at IS NULL")),
)

# Records that the index which is to go live does not have as they are now.
index_catch_up = Table(
    "index_catch_up",
    metadata,
    Column("entity", Text, primary_key=True),
    Column("uuid", Text(collation="C"), primary_key=True),
    Column("generation", BigInteger, nullable=False, server_default=text("1")),
    # Why that index refuses it.
    Column("refused", Text),
)

# Documents that Elasticsearch rejects permanently.
dead_letters = Table(
    "dead_letters",
    metadata,
    Column("entity", Text, primary_key=True),
    Column("uuid", Text(collation="C"), primary_key=True),
    Column("reason", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=_NOW),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", BigInteger, Identity(always=False), primary_key=True),
    _uuid(unique=True),
    Column("job_type", Text, nullable=False),
    Column("data", JSONB, nullable=False, server_default=text("'{}'")),
    Column("status", Text, nullable=False, server_default=text("'open'")),
    Column("job_response", JSONB, nullable=False, server_default=text("'{}'")),
    Column("retry_count", BigInteger, nullable=False, server_default=text("0")),
    Column("retry_interval", BigInteger, nullable=False, server_default=text("30")),
    Column("run_after", DateTime(timezone=True)),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=_NOW),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=_NOW),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("lease_owner", Text),
    Column("lease_token", BigInteger, nullable=False, server_default=text("0")),
    Column("lease_until", DateTime(timezone=True)),
    Column("progress", JSONB, nullable=False, server_default=text("'{}'")),
    Column("cancel_requested", Boolean, nullable=False, server_default=text("false")),
    # What an import reads: the object as it was at its first run, and the generation of the ledger that belongs to it.
    Column("input", JSONB),
    # Workers lost in a row, and how far the job had come by the last of them, in bytes.
    Column("lost_runs", Integer, nullable=False, server_default=text("0")),
    Column("lost_at", BigInteger, nullable=False, server_default=text("0")),
    # An import whose response does not yet have what its runs stored and rejected.
    Column("report_due", Boolean, nullable=False, server_default=text("false")),
    # Token of what an import stored; NULL once it is searchable.
    Column("searchable_after", BigInteger),
    # When the files that it had written were removed.
    Column("files_removed_at", DateTime(timezone=True)),
    # Who made it; NULL: a caller that did not come through the gateway, or a release that did not note it.
    Column("client", Text),
    # An import of an object that belongs to another client, who must not learn that it exists.
    Column("source_denied", Boolean, nullable=False, server_default=text("false")),
    CheckConstraint("retry_count >= 0", name="retry_count"),
    CheckConstraint(
        "NOT cancel_requested OR lease_until IS NOT NULL OR status = 'completed' OR (status = 'failed' AND run_after IS NULL)",
        name="cancelled",
    ),
    CheckConstraint(
        "(lease_until IS NOT NULL) = (status IN ('in_queue', 'processing', 'retry_in_queued', 'retrying'))",
        name="lease",
    ),
    Index("jobs_status_run_after_idx", "status", "run_after"),
    Index("jobs_created_at_idx", "created_at"),
    Index("jobs_client_created_at_idx", "client", "created_at"),
    Index("jobs_report_due_idx", "id", postgresql_where=text("report_due")),
    Index("jobs_searchable_after_idx", "searchable_after", postgresql_where=text("searchable_after IS NOT NULL")),
)

# Which state may follow which; a trigger on `jobs` refuses everything else.
job_transitions = Table(
    "job_transitions",
    metadata,
    Column("from_status", Text, primary_key=True),
    Column("to_status", Text, primary_key=True),
)

job_attempts = Table(
    "job_attempts",
    metadata,
    Column("job_uuid", Text(collation="C"), ForeignKey("jobs.uuid", ondelete="CASCADE"), primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("worker", Text, nullable=False),
    Column("started_at", DateTime(timezone=True), nullable=False, server_default=_NOW),
    Column("ended_at", DateTime(timezone=True)),
    Column("outcome", Text),
    Column("error", Text),
)

# Ledger of imports: a batch has been applied if and only if it is listed here.
import_batches = Table(
    "import_batches",
    metadata,
    Column("job_uuid", Text(collation="C"), primary_key=True),
    # Counts the files that a job began to read: batches of a file that was replaced are no part of the next one's.
    Column("generation", Integer, primary_key=True, server_default=text("0")),
    Column("batch_number", BigInteger, primary_key=True),
    # Which file; the same for all batches of a generation.
    Column("input", Text, nullable=False, server_default=text("''")),
    Column("byte_start", BigInteger, nullable=False),
    Column("byte_end", BigInteger, nullable=False),
    Column("next_line", BigInteger, nullable=False),
    Column("counts", JSONB, nullable=False),
    # Rejected rows and cells left out, of the last batch only: the worker has stored those of the ones before.
    Column("rejected", JSONB, nullable=False, server_default=text("'[]'")),
    Column("left_out", JSONB, nullable=False, server_default=text("'[]'")),
    Column("consistency_token", BigInteger, nullable=False),
    Column("created_at", DateTime(timezone=True), primary_key=True, server_default=_NOW),
    postgresql_partition_by="RANGE (created_at)",
)

# The records that an import has written, and whether it has changed them: a bit for each of 512 ids.
import_records = Table(
    "import_records",
    metadata,
    Column("job_uuid", Text(collation="C"), primary_key=True),
    Column("generation", Integer, primary_key=True),
    Column("entity", Text, primary_key=True),
    Column("block", BigInteger, primary_key=True),
    Column("written", BIT(512), nullable=False),
    Column("changed", BIT(512), nullable=False),
)

# Files of clients, under keys that the jobs service gave out.
uploads = Table(
    "uploads",
    metadata,
    Column("uuid", Text(collation="C"), primary_key=True),
    Column("client", Text, nullable=False),
    Column("bucket", Text, nullable=False),
    Column("s3_key", Text, nullable=False),
    # The object store's name of an upload in parts; NULL: one PUT.
    Column("store_id", Text),
    Column("size_bytes", BigInteger),
    Column("part_size", BigInteger),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=_NOW),
    Column("completed_at", DateTime(timezone=True)),
    Index("uploads_created_at_idx", "created_at"),
    Index("uploads_s3_key_idx", "s3_key"),
)

# Tables in partitions of time.
partitioned = Table(
    "partitioned",
    metadata,
    Column("records", Text, primary_key=True),
    Column("by_column", Text, nullable=False),
    Column("width", Interval, nullable=False),
)

# Answers of requests that carried an Idempotency-Key.
kept_answers = Table(
    "kept_answers",
    metadata,
    Column("client", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("created_at", DateTime(timezone=True), primary_key=True, server_default=_NOW),
    Column("request_hash", Text, nullable=False),
    Column("response", Text, nullable=False),
    postgresql_partition_by="RANGE (created_at)",
)

# Those of the previous release; to be dropped once no running release writes them.
idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("client", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("request_hash", Text, nullable=False),
    Column("http_status", SmallInteger, nullable=False, server_default=text("0")),
    Column("response", JSONB, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=_NOW),
    Index("idempotency_keys_created_at_idx", "created_at"),
)

# Who changed which record; written by triggers on the records, append-only.
audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("at", DateTime(timezone=True), primary_key=True, server_default=_NOW),
    Column("actor", Text, nullable=False),
    Column("request_id", Text),
    Column("entity", Text, nullable=False),
    Column("uuid", Text(collation="C"), nullable=False),
    Column("operation", Text, nullable=False),
    Column("row_version", BigInteger, nullable=False),
    # {field: [old, new]}; null for a created record.
    Column("changes", JSONB),
    Index("audit_uuid_idx", "uuid", "id"),
    Index("audit_at_idx", "at", postgresql_using="brin"),
    postgresql_partition_by="RANGE (at)",
)
