"""The checks, by what they need."""

import asyncio
import time
from email.utils import parsedate_to_datetime
from typing import Any

from connectra_common.db import migrate
from connectra_common.db.database import Database
from connectra_common.records.fields import ENTITIES, Entity
from connectra_common.search import indices
from connectra_common.search.mappings import index_body
from connectra_common.server.peers import channel
from connectra_common.settings import ElasticsearchSettings, PeerSettings, S3Settings
from elasticsearch import AsyncElasticsearch
from grpc_health.v1 import health_pb2, health_pb2_grpc

from connectra_ops.doctor import repository
from connectra_ops.doctor.finding import Finding, Findings, fail, ok, warn

OLDEST_POSTGRES = 14
ELASTICSEARCH = 8
CALL_SECONDS = 3
# Presigned URLs and signed requests are refused by S3 from a quarter of an hour on.
SKEW_WARN_SECONDS, SKEW_FAIL_SECONDS = 5, 300
BEHIND_WARN_SECONDS, BEHIND_FAIL_SECONDS = 60, 600
WAITING_WARN_SECONDS = 600


async def postgres(database: Database) -> Findings:
    """The server, its clock, and whether the schema is the one this program is written for."""
    async with database.connection() as connection:
        began = time.time()
        server = await repository.server(connection)
        here = (began + time.time()) / 2
    if server["number"] // 10_000 < OLDEST_POSTGRES:
        yield fail(
            "postgres", f"answers, PostgreSQL {server['version']}", f"upgrade to PostgreSQL {OLDEST_POSTGRES} or later"
        )
    else:
        yield ok("postgres", f"answers, PostgreSQL {server['version']}")
    yield _clock("clock of postgres", server["now"] - here)
    yield await _schema(database)


async def _schema(database: Database) -> Finding:
    async with database.connection() as connection:
        current, known = await repository.revision(connection), migrate.revisions()
    if current == known[0]:
        return ok("migrations", f"the database is at {current}")
    if current is None:
        return fail("migrations", "the database is empty", "run `connectra migrate`")
    if current in known:
        return fail(
            "migrations", f"the database is at {current}, this program wants {known[0]}", "run `connectra migrate`"
        )
    return warn(
        "migrations",
        f"the database is at {current}, which this program (at {known[0]}) does not know",
        "a later release has migrated it: roll that release out here too",
    )


async def queues(database: Database) -> Findings:
    """What waits in the database: outbox, dead letters, jobs."""
    async with database.connection() as connection:
        outbox, jobs = await repository.outbox(connection), await repository.jobs(connection)
    yield _outbox(outbox["pending"], outbox["oldest"] or 0, outbox["indexers"])
    if outbox["dead"]:
        yield warn(
            "dead letters",
            f"Elasticsearch refuses {outbox['dead']:,} documents for good",
            "`connectra index dead-letters` says why; fix the records, or `connectra index replay`",
        )
    else:
        yield ok("dead letters", "none")
    yield _jobs(jobs)


def _outbox(pending: int, oldest: float, indexers: int) -> Finding:
    state = f"{pending:,} changes wait for the index, the oldest for {oldest:,.0f} s; {indexers} indexers live"
    if not indexers:
        return fail("outbox", state, "start an indexer: `connectra-write-indexer`")
    if oldest < BEHIND_WARN_SECONDS:
        return ok("outbox", state)
    advice = "look for `indexer waits` in the indexers' logs; if there is none, start more of them"
    return (fail if oldest >= BEHIND_FAIL_SECONDS else warn)("outbox", state, advice)


def _jobs(jobs: Any) -> Finding:
    state = f"{jobs['waiting']:,} wait, {jobs['held']:,} are being run"
    if jobs["lost"]:
        return fail(
            "jobs",
            f"{jobs['lost']:,} belong to workers that are gone, and no pool takes them back",
            "start a pool: `connectra jobs first_time`, `connectra jobs retry`",
        )
    if jobs["idle"]:
        return warn(
            "jobs", f"{jobs['idle']:,} have made no progress for an hour", "look at the workers' logs by the job's uuid"
        )
    if jobs["oldest"] > WAITING_WARN_SECONDS:
        advice = (
            "start more workers, or raise PARALLEL_JOBS"
            if jobs["held"]
            else "start a pool: `connectra jobs first_time`"
        )
        return warn("jobs", f"{state}; the oldest has been waiting for {jobs['oldest']:,.0f} s", advice)
    return ok("jobs", state)


async def elasticsearch(client: AsyncElasticsearch, settings: ElasticsearchSettings) -> Findings:
    """The cluster, and the indices behind the aliases against the field catalogue."""
    version = str((await client.info())["version"]["number"])
    major = int(version.partition(".")[0])
    if major == ELASTICSEARCH:
        yield ok("elasticsearch", f"answers, Elasticsearch {version}")
    else:
        judge = fail if major < ELASTICSEARCH else warn
        yield judge("elasticsearch", f"answers, Elasticsearch {version}", f"tested is Elasticsearch {ELASTICSEARCH}")
    health = (await client.cluster.health())["status"]
    if health == "green":
        yield ok("cluster", "green")
    else:
        judge = fail if health == "red" else warn
        yield judge("cluster", str(health), "`GET _cluster/allocation/explain` says which shard is missing and why")
    for entity in ENTITIES.values():
        yield await _mapping(client, settings, entity)


async def _mapping(client: AsyncElasticsearch, settings: ElasticsearchSettings, entity: Entity) -> Finding:
    check = f"mapping of {entity.alias}"
    name = await indices.current(client, entity)
    if name is None:
        return fail(check, "there is no index", "run `connectra migrate`")
    found = (await client.indices.get_mapping(index=name))[name]["mappings"].get("properties", {})
    wanted = index_body(entity, settings)["mappings"]["properties"]
    if missing := sorted(wanted.keys() - found.keys()):
        return fail(check, f"{name} lacks {', '.join(missing)}", "run `connectra migrate`")
    if changed := sorted(field for field in wanted if wanted[field] != found[field]):
        advice = f"run `connectra index reindex {entity.name}`"
        return warn(check, f"{name} has other mappings than the catalogue: {', '.join(changed)}", advice)
    return ok(check, f"{name} is as the catalogue says")


async def drift(database: Database, client: AsyncElasticsearch) -> Findings:
    """Whether both stores have as many records, but for what is on its way."""
    for entity in ENTITIES.values():
        # What is indexed this moment is counted a little later.
        for wait in (0.0, 1.0, 2.0):
            await asyncio.sleep(wait)
            async with database.connection() as connection:
                pending = (await repository.outbox(connection))["pending"]
                stored = await repository.count(connection, entity)
            indexed = int((await client.count(index=entity.alias))["count"])
            if stored is None or abs(stored - indexed) <= pending:
                break
        yield _drift(entity, stored, indexed, pending)


def _drift(entity: Entity, stored: int | None, indexed: int, pending: int) -> Finding:
    check = f"{entity.table} in both"
    if stored is None:
        return ok(
            check, f"{indexed:,} in the index; not compared, counting rows takes over {repository.COUNT_SECONDS} s"
        )
    if abs(stored - indexed) <= pending:
        return ok(check, f"{stored:,} in the database, {indexed:,} in the index")
    return warn(
        check,
        f"{stored:,} in the database, {indexed:,} in the index, {pending:,} on their way",
        f"`connectra index verify {entity.name}` names them, `--repair` repairs them",
    )


async def store(client: Any, settings: S3Settings) -> Findings:
    """The bucket, and the clock of the store."""
    began = time.time()
    answer = await client.head_bucket(Bucket=settings.bucket)
    here = (began + time.time()) / 2
    yield ok("s3", f"answers, bucket {settings.bucket}")
    if date := answer["ResponseMetadata"]["HTTPHeaders"].get("date"):
        # It tells whole seconds.
        yield _clock("clock of s3", parsedate_to_datetime(date).timestamp() + 0.5 - here)


def _clock(check: str, ahead: float) -> Finding:
    skew = abs(ahead)
    if skew < SKEW_WARN_SECONDS:
        return ok(check, "agrees with this machine's to within seconds")
    judge = fail if skew >= SKEW_FAIL_SECONDS else warn
    return judge(
        check, f"is {ahead:+,.0f} s off this machine's", "set both by NTP: leases and signed URLs go by the clock"
    )


async def services(peers: PeerSettings) -> Findings:
    """Whether each service says of itself that it is ready."""
    for name, address in (("query", peers.query), ("write", peers.write), ("jobs", peers.jobs)):
        variable = f"{name.upper()}_ADDRESS"
        async with channel(address) as opened:
            stub = health_pb2_grpc.HealthStub(opened)
            try:
                # The stub of grpc_health declares no methods.
                answer = await stub.Check(  # type: ignore[attr-defined]
                    health_pb2.HealthCheckRequest(service="readiness"), timeout=CALL_SECONDS
                )
            except Exception:  # noqa: BLE001 - whatever it is, the service cannot be used from here
                yield fail(
                    f"service {name}", f"{address} does not answer", f"start connectra-{name}, or fix {variable}"
                )
                continue
        if answer.status == health_pb2.HealthCheckResponse.SERVING:
            yield ok(f"service {name}", f"{address} is ready")
        else:
            advice = "its log says what it waits for: event `readiness`, field `down`"
            yield fail(f"service {name}", f"{address} is not ready", advice)
