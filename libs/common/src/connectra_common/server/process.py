"""The frame of every process: settings checked, logs, gRPC server with health and reflection, background work, graceful drain.

Health has two names (grpc.health.v1): `liveness` serves as long as the process runs, `readiness` (and the empty name) only while
everything in `checks` answers.
"""

import asyncio
import gc
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
import psutil
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from connectra_common import logging, metrics, telemetry
from connectra_common.server import reflection
from connectra_common.server.background import Background
from connectra_common.server.bulkheads import BulkheadOf
from connectra_common.server.interceptors import CallInterceptor, unbounded
from connectra_common.server.limits import MIB, MOST_BYTES
from connectra_common.server.peers import listen
from connectra_common.settings import (
    AppSettings,
    ElasticsearchSettings,
    InternalSettings,
    ServerSettings,
    TlsSettings,
    TracingSettings,
)

log = structlog.get_logger()

Check = Callable[[], Awaitable[object]]

CHECK_INTERVAL_SECONDS = 1.0
CHECK_TIMEOUT_SECONDS = 2.0
# A clock that rings so late was in a process that did not run: stopped, or frozen with its machine.
STOOD_STILL_SECONDS = 1.0
# A check must fail this many times in a row: one slow answer from a busy dependency must not take a working service out of rotation.
FAILURES_UNTIL_NOT_READY = 3
# What worker pools send and accept; see peers.OPTIONS.
INTERNAL_MESSAGE_MIB = 64

Service = tuple[Any, Callable[[Any, Any], None], str]
"""Servicer, function that adds it to a server, full name."""


CONNECTIONS = (
    # By default a peer that pings more often than every five minutes, or at all while no call is running, is cut off at the third ping:
    # the gateway pings every 15 s, also under a stream in which nothing happens.
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # Callers look for new processes when a connection ends; running calls finish on the old one, however long they take.
    ("grpc.max_connection_age_ms", 30 * 60 * 1000),
    # All headers that the gateway lets through, with what it adds; by default more than 8 KiB are refused at random.
    ("grpc.max_metadata_size", 24 * 1024),
)
"""Options of every gRPC server that the gateway calls."""


@dataclass(frozen=True)
class Process:
    """What a process consists of.

    Args:
        services: for clients; a process without any has only health.
        internal: for other processes of the suite, on an address of its own.
        checks: readiness depends on these, which every method needs; one that raises, or takes over two seconds, three times in a row means
            not ready.
        bulkhead_of: the bulkhead of each method.
        background: loops that run until the event is set, then have `drain_seconds` to hand back what they hold.
        housekeeping: such that any process of the installation may run for all, and one must.
        front: what callers come through, where it belongs to the process. It is told to stop first, and all else goes on until it has
            ended: then there is nobody left to call.
    """

    services: Sequence[Service] = ()
    internal: Sequence[Service] = ()
    checks: Mapping[str, Check] = field(default_factory=dict)
    bulkhead_of: BulkheadOf = unbounded
    background: Sequence[Background] = ()
    housekeeping: Sequence[Background] = ()
    front: Background | None = None

    @property
    def names(self) -> list[str]:
        """Full names of all services."""
        return [name for *_, name in (*self.services, *self.internal)]


def begin(
    app: AppSettings, tracing: TracingSettings, name: str, elasticsearch: ElasticsearchSettings | None = None
) -> None:
    """What a process does first, before it creates any client: sets up logs, traces and its metric of name and release.

    Args:
        elasticsearch: given by a process that uses it, since the logs of its client are turned on here.
    """
    telemetry.configure(tracing, name)
    logging.configure(app, name)
    if elasticsearch and elasticsearch.debug:
        logging.show_elasticsearch_requests()
    metrics.name_build(name)


async def run(
    process: Process, app: AppSettings, server: ServerSettings, internal: InternalSettings | None = None
) -> None:
    """Serves until SIGTERM or SIGINT, then drains: not ready, no new calls, running ones may end.

    Args:
        internal: where the internal services are served; required if there are any.
    """
    asked, stopping = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)

    servicer = health.aio.HealthServicer()

    def door(
        services: Sequence[Service], message_mib: int, listening: ServerSettings | InternalSettings
    ) -> grpc.aio.Server:
        idle, bulkhead_of = server.stream_idle_seconds, process.bulkhead_of
        interceptor = CallInterceptor(server.default_deadline_seconds, listening.names, bulkhead_of, idle)
        return _grpc_server(services, interceptor, message_mib, servicer, listening.listen, listening)

    doors = [door(process.services, server.max_message_mib, server)]
    if internal:
        doors.append(door(process.internal, INTERNAL_MESSAGE_MIB, internal))
    probes = _probes(server, servicer)
    followed = ("", "readiness", *process.names)
    await servicer.set("liveness", health_pb2.HealthCheckResponse.SERVING)
    for name in followed:
        await servicer.set(name, health_pb2.HealthCheckResponse.NOT_SERVING)
    await asyncio.gather(*(one.start() for one in (*doors, probes)))
    if server.metrics_listen:
        metrics.serve(server.metrics_listen)
    # A page of 10,000 hits is 50,000 objects: collect garbage less often, and skip what lives as long as the process.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    log.info("listening", address=server.listen, internal=internal.listen if internal else None, services=process.names)

    watchers = [
        asyncio.create_task(_follow(process.checks, servicer, followed)),
        asyncio.create_task(_log_memory(app.memory_log_interval_seconds)),
    ]
    loops = [asyncio.create_task(start(stopping)) for start in (*process.background, *process.housekeeping)]
    fronts = [asyncio.create_task(process.front(asked))] if process.front else []
    told = asyncio.create_task(asked.wait())
    await asyncio.wait([told, *fronts, *loops], return_when=asyncio.FIRST_COMPLETED)

    log.info("draining")
    asked.set()
    if fronts:
        await asyncio.wait(fronts)
    stopping.set()
    for task in watchers:
        task.cancel()
    await servicer.enter_graceful_shutdown()
    # Behind a front, which had that time itself, there is nobody who could notice.
    lame_duck = server.lame_duck_seconds if process.names and not fronts else 0
    await asyncio.gather(
        *(_stop(door, lame_duck, server.drain_seconds) for door in doors), _finish(loops, server.drain_seconds)
    )
    await probes.stop(None)
    log.info("stopped")
    for task in (*fronts, *loops):
        if task.done() and not task.cancelled() and (error := task.exception()):
            raise error  # none must end on its own, so this makes the exit code nonzero


def _grpc_server(
    services: Sequence[Service],
    interceptor: CallInterceptor,
    message_mib: int,
    servicer: health.aio.HealthServicer,
    address: str,
    tls: TlsSettings,
) -> grpc.aio.Server:
    """A gRPC server: services, health and reflection."""
    grpc_server = grpc.aio.server(
        interceptors=[*telemetry.server_interceptors(), interceptor],
        options=[
            ("grpc.max_receive_message_length", MOST_BYTES),
            ("grpc.max_send_message_length", message_mib * MIB),
            ("grpc.so_reuseport", 0),  # a second process on the port is a mistake, not load sharing
            *CONNECTIONS,
        ],
    )
    health_pb2_grpc.add_HealthServicer_to_server(servicer, grpc_server)
    for implementation, add, _ in services:
        add(implementation, grpc_server)
    reflection.enable(grpc_server, [name for *_, name in services])
    listen(grpc_server, address, tls)
    return grpc_server


async def _stop(grpc_server: grpc.aio.Server, lame_duck_seconds: float, drain_seconds: float) -> None:
    await asyncio.sleep(lame_duck_seconds)
    await grpc_server.stop(drain_seconds)


def _probes(server: ServerSettings, servicer: health.aio.HealthServicer) -> grpc.aio.Server:
    """A server with only the health service, without TLS; does not listen unless an address is set."""
    probes = grpc.aio.server()
    if server.health_listen:
        health_pb2_grpc.add_HealthServicer_to_server(servicer, probes)
        probes.add_insecure_port(server.health_listen)
    return probes


async def _finish(loops: list[asyncio.Task[None]], seconds: float) -> None:
    if loops:
        _, late = await asyncio.wait(loops, timeout=seconds)
        for task in late:
            task.cancel()
        await asyncio.gather(*loops, return_exceptions=True)


async def _follow(checks: Mapping[str, Check], servicer: health.aio.HealthServicer, names: Sequence[str]) -> None:
    """Keeps readiness in step with the checks."""
    down: set[str] | None = None
    failures = dict.fromkeys(checks, FAILURES_UNTIL_NOT_READY)  # unknown is not ready
    while True:
        found = await asyncio.gather(*(_problem(check) for check in checks.values()))
        problems = dict(zip(checks, found, strict=True))
        failures = {name: failures[name] + 1 if problem else 0 for name, problem in problems.items()}
        now = {name for name, times in failures.items() if times >= FAILURES_UNTIL_NOT_READY}
        if now != down:
            status = health_pb2.HealthCheckResponse.NOT_SERVING if now else health_pb2.HealthCheckResponse.SERVING
            for name in names:
                await servicer.set(name, status)
            log.info("readiness", ready=not now, down={name: problems[name] for name in sorted(now)})
            down = now
        await asyncio.sleep(CHECK_INTERVAL_SECONDS)


async def passes(check: Check) -> bool:
    """Whether a dependency answers within two seconds."""
    return await _problem(check) is None


async def _problem(check: Check) -> str | None:
    loop = asyncio.get_running_loop()
    late: list[float] = []
    due = loop.time() + CHECK_TIMEOUT_SECONDS
    clock = loop.call_at(due, lambda: late.append(loop.time() - due))
    try:
        async with asyncio.timeout_at(due):
            await check()
    except Exception as error:  # noqa: BLE001 - whatever it is, the dependency is not usable
        # A process that stood still meanwhile learned nothing of the dependency.
        return await _problem(check) if any(seconds > STOOD_STILL_SECONDS for seconds in late) else repr(error)
    finally:
        clock.cancel()
    return None


async def _log_memory(interval_seconds: int) -> None:
    me = psutil.Process()
    while interval_seconds:
        await asyncio.sleep(interval_seconds)
        log.info("memory", rss_mib=round(me.memory_info().rss / 2**20, 1))
