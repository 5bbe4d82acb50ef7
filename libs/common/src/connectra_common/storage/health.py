"""Whether the object store is there, asked without its keys: for processes that use none of its objects."""

import ssl
from http import HTTPStatus

import aiohttp
import structlog

from connectra_common.settings import BucketSettings

log = structlog.get_logger()

# An anonymous caller is refused, but only where the bucket exists; Amazon S3 redirects to the region of a bucket.
_ALIVE = (HTTPStatus.OK, HTTPStatus.MOVED_PERMANENTLY, HTTPStatus.TEMPORARY_REDIRECT, HTTPStatus.FORBIDDEN)


async def ping(settings: BucketSettings) -> None:
    """Raises when the store does not answer, or has no such bucket."""
    server = settings.endpoint_url or f"https://s3.{settings.region}.amazonaws.com"
    trusted = ssl.create_default_context(cafile=settings.ssl_ca_file) if settings.ssl else False
    async with (
        aiohttp.ClientSession() as session,
        session.head(f"{server}/{settings.bucket}", ssl=trusted, allow_redirects=False) as answer,
    ):
        if settings.debug:
            log.info("s3", operation="HeadBucket", status=answer.status)
        if answer.status not in _ALIVE:
            raise ConnectionError(f"S3 answered {answer.status} for the bucket {settings.bucket}")
