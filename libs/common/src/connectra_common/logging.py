"""Structured logs on standard output: one JSON object per line, with the request's id and client on every line of a request."""

import logging
import sys

import structlog

from connectra_common import telemetry
from connectra_common.call import current
from connectra_common.settings import AppSettings


def configure(app: AppSettings, process: str) -> None:
    """Sets up structlog and, through it, the standard library's loggers. Call it once, before anything else."""
    shared: list[structlog.types.Processor] = [
        _add_call,
        structlog.contextvars.merge_contextvars,
        telemetry.add_trace_id,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: structlog.types.Processor = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if app.log_format == "console"
        else structlog.processors.JSONRenderer()
    )
    if app.log_format == "json":
        # As text: the structured form contains local variables, and with them records and secrets.
        shared.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*shared, last],
        wrapper_class=structlog.make_filtering_bound_logger(app.log_level),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[_drop_meta, last]))
    logging.basicConfig(handlers=[handler], level=max(logging.WARNING, getattr(logging, app.log_level)), force=True)
    structlog.contextvars.bind_contextvars(process=process, env=app.env)


def show_elasticsearch_requests() -> None:
    """Has each request logged: method, path, status and time, no body."""
    logging.getLogger("elastic_transport.transport").setLevel(logging.INFO)


def _add_call(_: object, __: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    call = current()
    if call.request_id:
        event["request_id"], event["client"] = call.request_id, call.client or None
    return event


def _drop_meta(_: object, __: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    event.pop("_record", None)
    event.pop("_from_structlog", None)
    return event
