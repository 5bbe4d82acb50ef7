"""What the write service adds to the `connectra` command."""

import asyncio
from dataclasses import dataclass

import typer
from connectra_common.db import migrate as migrations
from connectra_common.db.engine import create_engine
from connectra_common.errors import from_exception
from connectra_common.search import indices
from connectra_common.search.client import create_client
from connectra_common.settings import ElasticsearchSettings, PostgresSettings, load


@dataclass(frozen=True)
class Settings:
    """What a migration needs."""

    postgres: PostgresSettings
    elasticsearch: ElasticsearchSettings


def migrate() -> None:
    """Bring database schema and search indices up to date. Safe to run twice, and by two at once."""
    try:
        before, after, created = asyncio.run(_migrate(load(Settings)))
    except Exception as error:  # noqa: BLE001 - one line for the operator, whatever it is
        typer.echo(f"migrate: {from_exception(error).message} ({error})", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"schema: {after}" + ("" if before == after else f" (was {before or 'empty'})"))
    typer.echo(f"indices: {', '.join(created) if created else 'nothing to create'}")


async def _migrate(settings: Settings) -> tuple[str | None, str, list[str]]:
    engine = create_engine(settings.postgres, "migrate")
    search = create_client(settings.elasticsearch)
    try:
        async with migrations.locked(engine) as connection:
            before, after = await migrations.upgrade(connection)
            created = await indices.ensure(search, settings.elasticsearch)
    finally:
        await search.close()
        await engine.dispose()
    return before, after, created
