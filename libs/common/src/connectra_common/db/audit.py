"""The audit trail: on whose behalf a transaction changes records, and who did what else (docs/adr/0006, docs/adr/0027)."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace

import structlog

from connectra_common.call import Call, current
from connectra_common.db.database import Connection, Database
from connectra_common.errors import from_exception

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Origin:
    """Who changes records; if empty, the database records its own user.

    Args:
        actor: `client:NAME`, `job:UUID`, or `direct` for a caller that did not come through the gateway.
        request_id: of the call, as logs have it.
    """

    actor: str
    request_id: str

    @classmethod
    def of_call(cls, call: Call) -> "Origin":
        """The origin of a call; empty outside of any call."""
        if not call.request_id:
            return UNKNOWN
        return cls(f"client:{call.client}" if call.client else "direct", call.request_id)

    @classmethod
    def of_job(cls, uuid: str, call: Call) -> "Origin":
        """The origin of a job, whichever call does its work."""
        return cls(f"job:{uuid}", call.request_id)


UNKNOWN = Origin("", "")


# How a recorded operation stands or ended; if it failed, that is the reason of the error.
BEGUN, DONE, CUT_OFF = "begun", "done", "cut off"

_RECORD = "SELECT audit_event($1, $2, $3, $4, $5, $6)"


@dataclass(frozen=True, slots=True)
class Event:
    """What is done, other than a change of records, which triggers note.

    Args:
        entity: kind of thing that it is done to: job, stream or index.
        subject: uuid of the job, or whose records: company or contact.
        operation: such as create, export or reindex.
        details: what was asked for or came of it, by name.
    """

    entity: str
    subject: str
    operation: str
    details: Mapping[str, object]


async def record(connection: Connection, event: Event, actor: str | None = None, request_id: str | None = None) -> None:
    """Adds an event to the trail; it commits with the transaction.

    Args:
        connection: of a role that may execute `audit_event`.
        event: what is done.
        actor: who does it; None: the caller.
        request_id: of the call that asked for it; None: the one being served.
    """
    origin = Origin.of_call(current())
    await _add(connection, event, Origin(actor or origin.actor, request_id or origin.request_id))


async def _add(connection: Connection, event: Event, origin: Origin) -> None:
    # Not orjson: it refuses numbers beyond 64 bits, which jsonb takes.
    changes = json.dumps({name: [None, value] for name, value in event.details.items()}) if event.details else None
    await connection.execute(
        *(_RECORD, origin.actor, origin.request_id, event.entity, event.subject, event.operation, changes)
    )


@asynccontextmanager
async def recorded(database: Database, event: Event) -> AsyncIterator[dict[str, object]]:
    """Records that an operation begins, and how it ended, together with what the block puts into the dictionary it gets.

    If the first entry cannot be written, nothing is done. A first entry without a second one means that the process died. One that
    cannot be written at the end is logged.
    """
    came: dict[str, object] = {}
    origin = Origin.of_call(current())

    async def add(outcome: str) -> None:
        details = {**event.details, **came, "outcome": outcome}
        async with database.connection() as connection:
            await _add(connection, replace(event, details=details), origin)

    await add(BEGUN)
    outcome = CUT_OFF
    try:
        yield came
        outcome = DONE
    except Exception as error:
        outcome = from_exception(error).reason
        raise
    finally:
        # The caller may be gone, and with it this call's time.
        ending = asyncio.ensure_future(add(outcome))
        try:
            await asyncio.shield(ending)
        except Exception as error:  # noqa: BLE001 - what was done is done
            log.error(
                "an entry of the audit trail is lost", **asdict(event), **came, outcome=outcome, error=repr(error)
            )
