"""OpenTelemetry traces: Envoy → service → PostgreSQL, Elasticsearch, S3 → other services.

Off unless a collector is configured: then none of it is imported, and calls are not intercepted. Code that starts work outside of a call
(a run of a job, a batch of the indexer) wraps it in `trace`; other background work leaves no spans.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.metadata import version
from typing import Any

from connectra_common.settings import TracingSettings

_tracer: Any = None


def configure(settings: TracingSettings, process: str) -> None:
    """Starts tracing if there is a collector. Call it before any client or server is created."""
    global _tracer
    if settings.collector is None:
        # Elasticsearch's client has built-in tracing, which would produce empty spans.
        os.environ["OTEL_PYTHON_INSTRUMENTATION_ELASTICSEARCH_ENABLED"] = "false"
        return
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.asyncpg import AsyncPGInstrumentor
    from opentelemetry.instrumentation.botocore import AiobotocoreInstrumentor
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    # In seconds: how long an unreachable collector may delay the end of a process.
    os.environ.setdefault("OTEL_EXPORTER_OTLP_TIMEOUT", "3")
    attributes = {"service.version": version("connectra-common")}
    if "OTEL_SERVICE_NAME" not in os.environ:
        attributes["service.name"] = f"connectra-{process}"
    provider = TracerProvider(resource=Resource.create(attributes), sampler=_sampler(settings.ratio))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=settings.collector)))
    trace.set_tracer_provider(provider)
    # SQLAlchemy's statements pass through asyncpg too: one span each, not two.
    AsyncPGInstrumentor().instrument()
    AiobotocoreInstrumentor().instrument()
    _tracer = trace.get_tracer("connectra")


def _sampler(ratio: float) -> Any:
    from opentelemetry.sdk.trace.sampling import Decision, ParentBased, Sampler, SamplingResult, TraceIdRatioBased
    from opentelemetry.trace import SpanKind

    share = TraceIdRatioBased(ratio)

    class Begun(Sampler):  # type: ignore[misc]
        """A trace starts with a call or with `trace`, never with a statement of a background loop."""

        def should_sample(
            self, parent_context: Any, trace_id: int, name: str, kind: Any = None, *rest: Any, **options: Any
        ) -> Any:
            if kind not in (SpanKind.SERVER, SpanKind.CONSUMER):
                return SamplingResult(Decision.DROP)
            return share.should_sample(parent_context, trace_id, name, kind, *rest, **options)

        def get_description(self) -> str:
            return f"Begun{{{share.get_description()}}}"

    return ParentBased(Begun())


def server_interceptors() -> list[Any]:
    """Interceptors that continue the caller's trace; none when off. Health checks, once a second, are not traced."""
    if _tracer is None:
        return []
    from opentelemetry.instrumentation.grpc import aio_server_interceptor, filters

    return [aio_server_interceptor(filter_=filters.negate(filters.health_check()))]


def client_interceptors() -> list[Any]:
    """Interceptors that pass the trace on to another service; none when off."""
    if _tracer is None:
        return []
    from opentelemetry.instrumentation.grpc import aio_client_interceptors

    return list(aio_client_interceptors())


@contextmanager
def _begun(name: str, attributes: dict[str, Any]) -> Iterator[None]:
    from opentelemetry.context import Context
    from opentelemetry.trace import Link, SpanKind, get_current_span

    origin = get_current_span().get_span_context()
    links = [Link(origin)] if origin.is_valid else []
    with _tracer.start_as_current_span(
        name, context=Context(), kind=SpanKind.CONSUMER, attributes=attributes, links=links
    ):
        yield


def trace(name: str, **attributes: str | int) -> AbstractContextManager[None]:
    """Starts a separate trace, linked to the current one, if any: one trace of a whole import would be too large to read."""
    return nullcontext() if _tracer is None else _begun(name, {f"connectra.{k}": v for k, v in attributes.items()})


def untraced() -> AbstractContextManager[None]:
    """Work inside the block leaves no spans."""
    if _tracer is None:
        return nullcontext()
    from opentelemetry.instrumentation.utils import suppress_instrumentation

    suppressed: AbstractContextManager[None] = suppress_instrumentation()
    return suppressed


def add_trace_id(_: object, __: str, event: Any) -> Any:
    """Log processor that adds the current trace to each line."""
    if _tracer is not None:
        from opentelemetry.trace import get_current_span

        context = get_current_span().get_span_context()
        if context.is_valid:
            event["trace_id"] = f"{context.trace_id:032x}"
    return event
