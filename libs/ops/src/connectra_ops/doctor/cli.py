"""The command: reads the settings, runs the checks, prints what they find."""

import asyncio
import logging
from contextlib import AsyncExitStack
from dataclasses import asdict
from typing import TypeVar

import typer
from connectra_client.output import AsJson, Format, Output, format_of, show_json, show_records
from connectra_common.db.database import Database
from connectra_common.errors import from_exception
from connectra_common.search.client import create_client
from connectra_common.settings import (
    ElasticsearchSettings,
    PeerSettings,
    PostgresSettings,
    S3Settings,
    SettingsGroup,
    problems,
)
from connectra_common.storage import s3
from pydantic import ValidationError

from connectra_ops import here
from connectra_ops.doctor import checks
from connectra_ops.doctor.finding import Check, Finding, Level, fail, ok

CHECK_SECONDS = 60
_MARKS = {Level.OK: typer.colors.GREEN, Level.WARN: typer.colors.YELLOW, Level.FAIL: typer.colors.RED}

S = TypeVar("S", bound=SettingsGroup)


def doctor(
    output: Output = Format.TABLE,
    as_json: AsJson = False,
) -> None:
    """Check that everything is as it must be, and say what to do where it is not. Exit code 1 if something is broken.

    Examples:
        connectra doctor
        connectra doctor -o json
    """
    logging.disable(logging.CRITICAL)  # what is wrong is said by the findings
    findings = asyncio.run(examine()) if here.find() else [fail("connectra", here.NOTHING, here.ADVICE)]
    worst = max((finding.level for finding in findings), key=list(Level).index)
    match format_of(output, as_json):
        case Format.JSON:
            show_json({"status": worst, "checks": [asdict(finding) for finding in findings]})
        case Format.TABLE:
            for finding in findings:
                mark = typer.style(f"{finding.level:<5}", fg=_MARKS[finding.level])
                typer.echo(f"{mark} {finding.check:<28} {finding.message}")
                if finding.advice:
                    typer.echo(f"{'':<34} → {finding.advice}")
        case format:
            show_records(map(asdict, findings), ("check", "level", "message", "advice"), format, name="check")
    raise typer.Exit(1 if worst is Level.FAIL else 0)


async def examine() -> list[Finding]:
    """All findings, in a fixed order: settings, stores, what is in them, services."""
    findings: list[Finding] = []
    postgres = _read(PostgresSettings, findings)
    elasticsearch = _read(ElasticsearchSettings, findings)
    store, peers = _read(S3Settings, findings), _read(PeerSettings, findings)
    if not findings:
        findings.append(ok("settings", "complete"))
    async with AsyncExitStack() as stack:
        database = search = None
        if postgres:
            database = await stack.enter_async_context(Database.open(postgres, "doctor"))
            findings += await _look("postgres", "fix PG_DB_*, or start it", lambda: checks.postgres(database))
        if elasticsearch:
            search = create_client(elasticsearch)
            stack.push_async_callback(search.close)
            findings += await _look(
                "elasticsearch",
                "fix ELASTICSEARCH_*, or start it",
                lambda: checks.elasticsearch(search, elasticsearch),
            )
        if store:
            client = await stack.enter_async_context(s3.client(store))
            findings += await _look("s3", "fix S3_*, make the bucket, or start it", lambda: checks.store(client, store))
        sound = {finding.check for finding in findings if finding.level is not Level.FAIL}
        if database and "migrations" in sound:
            findings += await _look("outbox", "see docs/operations.md", lambda: checks.queues(database))
            if search and "elasticsearch" in sound:
                findings += await _look("drift", "see docs/operations.md", lambda: checks.drift(database, search))
        if peers:
            findings += await _look("services", "see docs/operations.md", lambda: checks.services(peers))
    return findings


def _read(model: type[S], findings: list[Finding]) -> S | None:
    try:
        return model()
    except ValidationError as error:
        advice = "docs/operations.md says where settings come from"
        findings += [fail("settings", line.removeprefix("settings: "), advice) for line in problems(error)]
        return None


async def _look(check: str, advice: str, look: Check) -> list[Finding]:
    """The findings of a check; that it cannot be done is one of them."""
    found: list[Finding] = []
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            async for finding in look():
                found.append(finding)
    except Exception as error:  # noqa: BLE001 - that is what we are here to tell
        found.append(fail(check, f"{from_exception(error).message} ({type(error).__name__})", advice))
    return found
