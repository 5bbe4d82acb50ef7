"""Readiness probes, one function per kind of server. Each returns when the server is ready and raises anything when it is not.

Drivers are imported where they are used: commands that only read the state need none of them.
"""

import ssl
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from connectra_local.config import S3Access

TIMEOUT = 3.0


def trusting(ca_file: str | None) -> ssl.SSLContext | bool:
    """What httpx verifies certificates with: this CA, or the authorities the system trusts."""
    return ssl.create_default_context(cafile=ca_file) if ca_file else True


async def http(url: str, ca_file: str | None = None) -> None:
    """Ready when GET answers 200."""
    import httpx

    async with httpx.AsyncClient(timeout=TIMEOUT, trust_env=False, verify=trusting(ca_file)) as client:
        (await client.get(url)).raise_for_status()


async def elasticsearch(url: str, ca_file: str | None = None) -> None:
    """Ready when every primary shard can be read and written (cluster health is at least yellow)."""
    await http(f"{url.rstrip('/')}/_cluster/health?wait_for_status=yellow&timeout=1s", ca_file)


async def grpc(address: str, tls: ssl.SSLContext | None = None) -> None:
    """Ready when the standard health service says SERVING for "readiness"."""
    # grpclib, not grpcio: this process forks, and grpcio runs threads of its own.
    from grpclib.client import Channel
    from grpclib.health.v1.health_grpc import HealthStub
    from grpclib.health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

    host, _, port = address.rpartition(":")
    channel = Channel(host, int(port), ssl=tls)
    try:
        answer = await HealthStub(channel).Check(HealthCheckRequest(service="readiness"), timeout=TIMEOUT)
    finally:
        channel.close()
    if answer.status != HealthCheckResponse.SERVING:
        raise ConnectionError(f"{address} says it is not ready yet")


async def postgres(dsn: str) -> None:
    """Ready when the database accepts a login."""
    import asyncpg

    connection = await asyncpg.connect(dsn, timeout=TIMEOUT)
    await connection.close()


async def postgres_with_database(dsn: str, logins: Mapping[str, str], memberships: Mapping[str, Iterable[str]]) -> None:
    """Ready when the server accepts a login; the database, and roles by name with their passwords, are created if they are missing.

    Args:
        memberships: by the name of a login, those whose rights it has.
    """
    import asyncpg

    database = urlsplit(dsn).path.lstrip("/")
    connection = await asyncpg.connect(dsn, database="postgres", timeout=TIMEOUT)
    try:
        if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", database):
            await connection.execute(f'CREATE DATABASE "{database}"')
        for name, password in logins.items():
            if not await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", name):
                await connection.execute(f"CREATE ROLE {name}")
            await connection.execute(f"ALTER ROLE {name} LOGIN PASSWORD '{password}'")
        for name, roles in memberships.items():
            await connection.execute(f"GRANT {', '.join(roles)} TO {name}")
    finally:
        await connection.close()


async def s3(access: S3Access) -> None:
    """Ready when the bucket exists and these keys can reach it."""
    import httpx
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    # Only the signer: a whole S3 client takes a second to load.
    request = AWSRequest("HEAD", f"{access.url}/{access.bucket}")
    S3SigV4Auth(Credentials(access.access_key, access.secret_key), "s3", access.region).add_auth(request)
    async with httpx.AsyncClient(timeout=TIMEOUT, trust_env=False, verify=trusting(access.ca_file)) as client:
        (await client.head(request.url, headers=dict(request.headers.items()))).raise_for_status()
