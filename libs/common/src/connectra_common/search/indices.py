"""Indices and their aliases: `companies_index` is an alias of `companies_index-v1-<time>`, so that the index can be replaced.

While a new index is being built it has the alias `companies_index-building`. Writers use only aliases, and a template keeps the names of
these from becoming indices by a write: Elasticsearch would make one of a deletion with a version, whatever the request says of aliases.
"""

from datetime import UTC, datetime
from typing import Any

import structlog
from elasticsearch import AsyncElasticsearch, BadRequestError

from connectra_common.errors import WrongState
from connectra_common.records.fields import ENTITIES, Entity
from connectra_common.search.mappings import REFRESH_INTERVAL, VERSION, index_body, version_of
from connectra_common.settings import ElasticsearchSettings

log = structlog.get_logger()

# Of the alias of an index that is to go live.
BUILDING_SUFFIX = "-building"
# Above those that others have for all names.
TEMPLATE_PRIORITY = 1000
# How long Elasticsearch remembers the version of a deleted document. Never send a document older than this.
GC_DELETES = "15m"


async def ensure(client: AsyncElasticsearch, settings: ElasticsearchSettings) -> list[str]:
    """Creates the index of each entity whose alias is missing, and adds new fields to those that exist; the caller ensures that only one
    process does so at a time (`db.migrate.locked`).

    An index of an older version keeps its analysis until it is rebuilt, and this release works with it meanwhile.

    Returns the names of the created indices.

    Raises:
        WrongState: an index that exists cannot take a field.
    """
    created = []
    for entity in ENTITIES.values():
        await client.indices.put_index_template(
            name=f"connectra-{entity.alias}",
            index_patterns=[entity.alias, entity.alias + BUILDING_SUFFIX],
            priority=TEMPLATE_PRIORITY,
            allow_auto_create=False,
        )
        if name := await current(client, entity):
            await _extend(client, settings, entity, name)
            continue
        name = await create(client, settings, entity)
        await client.indices.put_alias(index=name, name=entity.alias)
        created.append(name)
    return created


async def current(client: AsyncElasticsearch, entity: Entity) -> str | None:
    """Name of the index behind an entity's alias."""
    return await behind(client, entity.alias)


async def behind(client: AsyncElasticsearch, alias: str) -> str | None:
    """Name of the index behind an alias."""
    found = await client.options(ignore_status=404).indices.get_alias(name=alias)
    names = [name for name in found.body if name not in ("error", "status")]
    return names[0] if names else None


def new_name(entity: Entity) -> str:
    """Name for an index created now; later ones sort after earlier ones."""
    return f"{entity.alias}-v{VERSION}-{datetime.now(UTC):%Y%m%d%H%M%S%f}"


async def create(
    client: AsyncElasticsearch, settings: ElasticsearchSettings, entity: Entity, shards: int = 0, name: str = ""
) -> str:
    """Creates an index without an alias; 0 shards means as many as configured. Returns its name, a new one unless one is given."""
    name = name or new_name(entity)
    try:
        await client.indices.create(index=name, **_body(settings, entity, shards, "best_compression"))
        await _probe(client, name)
    except (BadRequestError, _CodecMissing):
        # best_compression needs a native library that a bare machine may lack, which shows only at the first flush.
        log.warning("best_compression is not available; using the default codec", index=name)
        await client.options(ignore_status=404).indices.delete(index=name)
        await client.indices.create(index=name, **_body(settings, entity, shards, "default"))
    return name


def _body(settings: ElasticsearchSettings, entity: Entity, shards: int, codec: str) -> dict[str, Any]:
    body = index_body(entity, settings, codec)
    body["settings"]["index"] |= {"gc_deletes": GC_DELETES, **({"number_of_shards": shards} if shards else {})}
    return body


async def _extend(client: AsyncElasticsearch, settings: ElasticsearchSettings, entity: Entity, name: str) -> None:
    await client.indices.put_settings(
        index=name, settings={"index": {"gc_deletes": GC_DELETES, "refresh_interval": REFRESH_INTERVAL}}
    )
    if version_of(name) < VERSION:
        log.warning(
            "the index is of an older version; rebuild it with `connectra index reindex`",
            index=name,
            entity=entity.name,
            version=VERSION,
        )
    await add_fields(client, settings, entity, name)


async def add_fields(client: AsyncElasticsearch, settings: ElasticsearchSettings, entity: Entity, name: str) -> None:
    """Adds the fields that an index does not have yet; those of one of an older version stay as they are.

    Raises:
        WrongState: it cannot take them.
    """
    mappings = index_body(entity, settings)["mappings"]
    if version_of(name) < VERSION:
        there = (await client.indices.get_mapping(index=name))[name]["mappings"].get("properties", {})
        mappings["properties"] = {field: m for field, m in mappings["properties"].items() if field not in there}
    try:
        await client.indices.put_mapping(index=name, **mappings)
    except BadRequestError as error:
        # Fields can be added to an index, not changed. None of the new ones was added, and documents that have them would be refused.
        reason = error.body["error"]["reason"] if isinstance(error.body, dict) else error.message
        raise WrongState(
            f"the index {name} cannot take the mapping of this release ({reason}); run `connectra index reindex {entity.name}` "
            "and migrate again"
        ) from error


class _CodecMissing(Exception):
    pass


async def _probe(client: AsyncElasticsearch, name: str) -> None:
    """Writes and deletes one document with a flush in between."""
    try:
        await client.index(index=name, id="probe", document={"uuid": "probe"}, refresh=True)
        await client.indices.flush(index=name)
        await client.delete(index=name, id="probe", refresh=True)
    except Exception as error:
        raise _CodecMissing from error
