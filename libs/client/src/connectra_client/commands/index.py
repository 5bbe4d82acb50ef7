"""`connectra index`: look after the search index, through the server's IndexService."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, TypeVar

import typer

from connectra_client import Connectra
from connectra_client.commands.options import ApiKey, Profile, Url
from connectra_client.connection import find_connection
from connectra_client.display import console, hint, words
from connectra_client.output import AsJson, Format, Output, format_of, show_json, show_record, show_records
from connectra_client.proto.connectra.write.v1 import (
    DeadLetter,
    Drift,
    DropPreviousIndexRequest,
    DropPreviousIndexResponse,
    GetIndexStatusRequest,
    GetIndexStatusResponse,
    ListDeadLettersRequest,
    ReindexRequest,
    ReindexResponse,
    ReplayDeadLettersRequest,
    ReplayDeadLettersResponse,
    RollbackIndexRequest,
    RollbackIndexResponse,
    VerifyRequest,
    VerifyResponse,
)

app = typer.Typer(help="Look after the search index: state, dead letters, rebuild, verify.", no_args_is_help=True)

_T = TypeVar("_T")


class _Entity(StrEnum):
    """Whose index; spelled as IndexService spells it."""

    COMPANY = "company"
    CONTACT = "contact"


_Which = Annotated[_Entity, typer.Argument(help="Whose index: company or contact.")]


def _run(url: str | None, api_key: str | None, profile: str | None, work: Callable[[Connectra], Awaitable[_T]]) -> _T:
    """Run `work` with a client whose calls have no deadline: a rebuild or a comparison may take hours."""

    to = find_connection(url, api_key, profile)

    async def connected() -> _T:
        async with Connectra(to.url, to.api_key, timeout=None) as client:
            return await work(client)

    return asyncio.run(connected())


def _answer(
    answer: ReplayDeadLettersResponse | ReindexResponse | RollbackIndexResponse | DropPreviousIndexResponse,
    said: str,
    format: Format,
    *,
    name: str = "index_name",
) -> None:
    if format is Format.TABLE:
        console.print(said, highlight=False)
    else:
        show_record(asdict(answer), format, name=name)


@app.command()
def status(
    output: Output = Format.TABLE,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
    profile: Profile = None,
) -> None:
    """Show how far the index lags behind, and any rebuild in progress.

    Examples:
        connectra index status
        connectra index status -o json
    """
    state = _run(url, api_key, profile, lambda client: client.index.get_index_status(GetIndexStatusRequest()))
    match format_of(output, as_json):
        case Format.TABLE:
            _show(state)
        case Format.JSON:
            show_json(asdict(state))
        case format:
            show_records(
                map(asdict, state.indices), ("entity", "index_name", "documents", "previous"), format, name="index_name"
            )


def _show(state: GetIndexStatusResponse) -> None:
    console.print(f"pending        {state.pending:,} (oldest {state.oldest_pending_seconds:.1f} s)")
    console.print(f"dead letters   {state.dead_letters:,}")
    console.print(f"indexers       {state.indexers}")
    for index in state.indices:
        name = index.index_name or "no index: connectra index reindex builds one"
        console.print(f"{index.entity:<14} {index.documents:,} documents in {name}", highlight=False)
        if index.previous:
            console.print(f"{'':<14} previous: {index.previous}", highlight=False)
        if check := index.check:
            oldest = timedelta(seconds=int(check.oldest_seconds))
            found = f"{check.differing:,} of {check.compared:,} differ, oldest check {oldest}"
            console.print(f"{'':<14} {found if check.compared else 'not compared yet'}", highlight=False)
        if under_way := index.rebuild:
            done = f"{under_way.documents_done:,} of {under_way.documents_total:,}"
            text = f"{under_way.kind}: {under_way.phase}, {done}, {under_way.index_name}  {under_way.reason}"
            console.print(f"{'':<14} {text.rstrip()}", highlight=False)


@app.command("dead-letters")
def dead_letters(
    limit: Annotated[int, typer.Option("--limit", "-n", help="Maximum number to list.", min=1)] = 100,
    output: Output = Format.TABLE,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
    profile: Profile = None,
) -> None:
    """List the documents that Elasticsearch rejects permanently, with its reasons.

    Examples:
        connectra index dead-letters
    """

    async def collect(client: Connectra) -> list[DeadLetter]:
        found: list[DeadLetter] = []
        token = ""
        while len(found) < limit:
            request = ListDeadLettersRequest(limit=min(limit - len(found), 1_000), page_token=token)
            page = await client.index.list_dead_letters(request)
            found += page.dead_letters
            token = page.next_page_token
            if not token:
                break
        return found

    letters = _run(url, api_key, profile, collect)
    rows = [{"entity": letter.entity, "uuid": letter.uuid, "reason": letter.reason} for letter in letters]
    if not show_records(rows, ["entity", "uuid", "reason"], format_of(output, as_json), chosen=True):
        hint("no dead letters")


@app.command()
def replay(
    uuids: Annotated[list[str] | None, typer.Argument(help="uuids of dead letters; all when none are given.")] = None,
    output: Output = Format.TABLE,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
    profile: Profile = None,
) -> None:
    """Index dead letters again, once the cause of their rejection has changed.

    Examples:
        connectra index replay
    """
    request = ReplayDeadLettersRequest(uuids=uuids or [])
    answer = _run(url, api_key, profile, lambda client: client.index.replay_dead_letters(request))
    _answer(answer, f"{answer.replayed} queued for indexing", format_of(output, as_json), name="replayed")


@app.command()
def reindex(
    entity: _Which,
    shards: Annotated[int, typer.Option("--shards", help="Primary shards; 0: as configured.", min=0)] = 0,
    accept_other_answers: Annotated[
        bool, typer.Option("--accept-other-answers", help="Accept that queries find other records than before.")
    ] = False,
    abort: Annotated[bool, typer.Option("--abort", help="Abort the rebuild or rollback that is in progress.")] = False,
    output: Output = Format.TABLE,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
    profile: Profile = None,
) -> None:
    """Build a new index while writes go on, compare it, switch the alias. It goes on without you; run again, you follow it.

    Examples:
        connectra index reindex contact
    """
    request = ReindexRequest(entity=entity, shards=shards, accept_other_answers=accept_other_answers, abort=abort)

    async def follow(client: Connectra) -> ReindexResponse:
        with words.status("starting") as line:
            async for progress in client.index.reindex(request):
                text = f"{progress.phase}  {progress.documents_done:,} of {progress.documents_total:,}"
                line.update(f"{text}  {progress.index_name}  {progress.reason}")
        return progress

    answer = _run(url, api_key, profile, follow)
    _answer(answer, f"{answer.phase}: {answer.index_name}", format_of(output, as_json))


@app.command()
def rollback(
    entity: _Which,
    output: Output = Format.TABLE,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
    profile: Profile = None,
) -> None:
    """Bring the index from before the last rebuild up to date, and switch back to it. Run again, it goes on or tells how it ended.

    Examples:
        connectra index rollback contact
    """

    async def follow(client: Connectra) -> RollbackIndexResponse:
        with words.status("starting") as line:
            while True:
                answer = await client.index.rollback_index(RollbackIndexRequest(entity=entity))
                if answer.phase == "done":
                    return answer
                line.update(f"{answer.phase}  {answer.marked:,} had changed  {answer.index_name}  {answer.reason}")

    answer = _run(url, api_key, profile, follow)
    said = f"live: {answer.index_name}; {answer.marked:,} records that had changed since were copied to it"
    _answer(answer, said, format_of(output, as_json))


@app.command("drop-previous")
def drop_previous(
    entity: _Which,
    output: Output = Format.TABLE,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
    profile: Profile = None,
) -> None:
    """Delete the index that was live before the last rebuild or rollback.

    Examples:
        connectra index drop-previous contact
    """
    request = DropPreviousIndexRequest(entity=entity)
    answer = _run(url, api_key, profile, lambda client: client.index.drop_previous_index(request))
    _answer(answer, f"removed: {answer.index_name}", format_of(output, as_json))


@app.command()
def verify(
    entity: _Which,
    repair: Annotated[bool, typer.Option("--repair", help="Repair what is found.")] = False,
    after: Annotated[str, typer.Option("--after", help="Continue after this uuid.")] = "",
    rate: Annotated[int, typer.Option("--rate", help="Maximum number of records per second; 0: no limit.", min=0)] = 0,
    seconds: Annotated[int, typer.Option("--seconds", help="Stop after this many seconds; 0: at the end.", min=0)] = 0,
    abort: Annotated[bool, typer.Option("--abort", help="Abort the comparison that is in progress.")] = False,
    output: Output = Format.TABLE,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
    profile: Profile = None,
) -> None:
    """Compare the index with the database, record by record, even if you leave. Exit code 1: they differ, and nothing was repaired.

    Examples:
        connectra index verify contact --repair
        connectra index verify company -o json
    """
    request = VerifyRequest(
        entity=entity, repair=repair, after_uuid=after, records_per_second=rate, max_seconds=seconds, abort=abort
    )
    format = format_of(output, as_json)
    found: list[dict[str, str]] = []

    def heard(drift: Drift) -> None:
        if format is Format.TABLE:
            console.print(f"{drift.kind:<10} {drift.uuid}", highlight=False)
        else:
            found.append({"kind": drift.kind, "uuid": drift.uuid})

    report = _run(url, api_key, profile, lambda client: _follow_walk(client.index.verify(request), heard))
    wrong = report.missing + report.ghost + report.stale + report.different
    kinds = f"missing {report.missing}, ghost {report.ghost}, stale {report.stale}, different {report.different}"
    said = f"{report.compared:,} compared: {kinds}; repaired {report.repaired}"
    match format:
        case Format.TABLE:
            console.print(said)
        case Format.JSON:
            show_json(asdict(report) | {"found": found})
        case _:
            show_records(found, ("kind", "uuid"), format)
            hint(said)
    if not report.complete:
        hint(f"stopped before the end; continue with --after {report.after_uuid}")
    raise typer.Exit(1 if wrong and not repair else 0)


async def _follow_walk(reports: AsyncIterator[VerifyResponse], heard: Callable[[Drift], None]) -> VerifyResponse:
    """Tell what is found; return the last report, which has the totals."""
    with words.status("comparing") as line:
        async for report in reports:
            line.update(f"compared {report.compared:,}, up to {report.after_uuid}")
            for drift in report.found:
                heard(drift)
    return report
