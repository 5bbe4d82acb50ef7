"""The command."""

import asyncio
from typing import Annotated

import typer
from connectra_common.db import migrate as migrations
from connectra_common.db import roles
from connectra_common.errors import Conflict, from_exception
from connectra_common.search import indices
from connectra_common.search.client import create_client
from connectra_common.settings import load
from sqlalchemy.ext.asyncio import AsyncConnection

from connectra_ops.migrate import adopt as adoption
from connectra_ops.migrate.adopt import Report, State
from connectra_ops.settings import MigrateSettings

Adopt = Annotated[bool, typer.Option("--adopt", help="Take over the tables of another implementation, row by row.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="With --adopt: report what is odd about them, change nothing.")]


def migrate(adopt: Adopt = False, dry_run: DryRun = False) -> None:
    """Bring database schema and search indices up to date. Safe to run twice, and by two at once.

    Examples:
        connectra migrate
        connectra migrate --adopt --dry-run
    """
    if dry_run and not adopt:
        raise typer.BadParameter("--dry-run goes with --adopt")
    try:
        done = asyncio.run(_migrate(load(MigrateSettings), adopt, dry_run))
    except Exception as error:  # noqa: BLE001 - one line for the operator, whatever it is
        ours = from_exception(error)
        typer.echo(f"migrate: {ours.message}" + ("" if ours is error else f" ({error})"), err=True)
        raise typer.Exit(1) from None
    raise typer.Exit(0 if done else 1)


async def _migrate(settings: MigrateSettings, adopt: bool, dry_run: bool) -> bool:
    """False: a dry run that found what must be fixed first."""
    search = create_client(settings.elasticsearch)
    try:
        async with migrations.engine(settings.postgres) as engine, migrations.locked(engine) as connection:
            report = await adoption.adopt(connection, _tell, dry_run=dry_run) if adopt else None
            if report and dry_run:
                _show(report)
                return not report.blocked
            if not report and await adoption.is_due(connection):
                raise Conflict(_DUE)
            before, after = await migrations.upgrade(connection, _tell)
            absent = await _grant(connection, settings) if settings.roles.enabled else []
            # Nothing is locked but other migrations.
            created = await indices.ensure(search, settings.elasticsearch)
        if report:
            _show(report)
    finally:
        await search.close()
    typer.echo(f"schema: {after}" + ("" if before == after else f" (was {before or 'empty'})"))
    typer.echo(f"indices: {', '.join(created) if created else 'nothing to create'}")
    if absent:
        typer.echo(_ABSENT.format(statements=" ".join(f"CREATE ROLE {role};" for role in absent)))
    return True


async def _grant(connection: AsyncConnection, settings: MigrateSettings) -> list[str]:
    """Brings the roles up to date; returns those that are missing and that only an administrator can create."""

    async def grant() -> list[str]:
        async with connection.begin():
            raw = await migrations.driver(connection)
            absent = await roles.create(raw, settings.roles.prefix)
            await roles.grant(raw, settings.roles.prefix, audited=settings.trail.enabled)
        return absent

    return await migrations.patiently(connection, grant, _tell)


def _tell(line: str) -> None:
    typer.echo(f"migrate: {line}", err=True)


_ABSENT = "roles: this login may not create them; let an administrator run `{statements}` and migrate again, or set PG_ROLES=off"
_DUE = (
    "the database holds tables of another implementation, or not yet all of their rows; `connectra migrate --adopt` takes them over, or "
    "goes on with it, --dry-run shows how"
)
_NEXT = "once everything runs: `connectra index reindex company --accept-other-answers`, and the same for contact"
_NOTHING = {
    State.EMPTY: "the database is empty: nothing to take over",
    State.OURS: "the database is Connectra's own: nothing to take over",
    State.ADOPTED: "the database is taken over already",
    State.BEGUN: "a take-over has begun: go on with it by `connectra migrate --adopt`",
}


def _show(report: Report) -> None:
    if report.state is not State.PREDECESSOR:
        typer.echo(_NOTHING[report.state])
        return
    for table, count in report.rows.items():
        typer.echo(f"{table:<14}{count:>12,} rows")
        for found in report.findings:
            if found.table == table:
                more = ", …" if found.count > len(found.examples) else ""
                mark = "  MUST BE FIXED FIRST" if found.blocks else ""
                typer.echo(f"{'':<14}{found.count:>12,} {found.what} (id {', '.join(found.examples)}{more}){mark}")
    for column in report.left:
        typer.echo(f"{column} has no place here; its values stay in the schema {adoption.SCHEMA}")
    typer.echo(_NEXT)
