"""A job as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import orjson

from connectra_jobs.models import Job

EVENT_STREAM = "text/event-stream; charset=utf-8"
# Proxies close connections in which nothing happens for a while.
SILENCE_SECONDS = 15.0


async def events(jobs: AsyncGenerator[Job], silence: float = SILENCE_SECONDS) -> AsyncGenerator[bytes]:
    """`job` for each state, `end` after the last one, and a comment after `silence` seconds without news.

    Raises:
        What `jobs` raises.
    """
    job: Job | None = None
    async with aclosing(jobs):
        while True:
            following = asyncio.ensure_future(anext(jobs, None))
            try:
                while not (await asyncio.wait({following}, timeout=silence))[0]:
                    yield b": nothing new\n\n"
                found = await following
            finally:
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)
            if found is None:
                break
            job = found
            yield _event("job", job.to_json())
    if job:
        yield _event("end", {"status": job.status})


def _event(name: str, data: object) -> bytes:
    # JSON on one line, as an event's data must be.
    return b"event: %b\ndata: %b\n\n" % (name.encode(), orjson.dumps(data))
