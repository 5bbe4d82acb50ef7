"""A job as server-sent events."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime

import orjson
from connectra_jobs.events import events
from connectra_jobs.models import Job

NOW = datetime(2026, 11, 23, tzinfo=UTC)
JOB = Job(
    id=1, uuid="u", job_type="insert_csv_file", data={"note": "a\nb"}, status="processing", job_response={}, retry_count=0,
    retry_interval=30, run_after=None, created_at=NOW, updated_at=NOW, attempts=1, progress={"rows": 1},
)  # fmt: skip


async def test_each_state_is_an_event_on_one_line_of_data_and_the_last_one_says_that_it_has_ended() -> None:
    async def watched() -> AsyncGenerator[Job]:
        yield JOB

    found = [event async for event in events(watched())]
    (kind, data, *rest), end = found[0].decode().split("\n"), found[1]
    assert (kind, rest) == ("event: job", ["", ""])
    assert orjson.loads(data.removeprefix("data: ")) == JOB.to_json()
    assert end == b'event: end\ndata: {"status":"processing"}\n\n'
    assert len(found) == 2


async def test_comments_keep_a_quiet_connection_open_and_who_leaves_ends_the_watching() -> None:
    closed = asyncio.Event()

    async def watched() -> AsyncGenerator[Job]:
        try:
            await asyncio.Event().wait()
            yield JOB
        finally:
            closed.set()

    stream = events(watched(), silence=0.01)
    assert [await anext(stream) for _ in range(2)] == [b": nothing new\n\n"] * 2
    await stream.aclose()
    assert closed.is_set()
