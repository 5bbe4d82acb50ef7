"""The table of parts: what each needs, how it is started, and when it is ready."""

import signal
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from connectra_local import elasticsearch, postgres, ready, s3
from connectra_local.config import Config, address_of, scripts_folder
from connectra_local.home import LocalError

Probe = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Part:
    """One part of the stack.

    Args:
        name: as `connectra status` and `connectra logs` show it.
        address: host:port; "" for a part that listens nowhere.
        ready: returns when the part is ready and raises while it is not; None for a part that runs once.
        needs: names of parts that must be ready before it starts.
        command: None for an external server, which is only waited for.
        env: added to the real environment.
        ports: names of the ports it will listen on.
        prepare: called (it may block) before every start.
        popen_options: further arguments of the process.
        note: shown when it is ready.
        once: whether it does its work and ends.
        stop_signal: asks it to stop.
        death_signal: what the kernel sends it when the supervisor is gone: nothing may linger, and every part survives
            the hardest end.
    """

    name: str
    address: str
    ready: Probe | None
    needs: tuple[str, ...] = ()
    command: tuple[str, ...] | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[str, ...] = ()
    prepare: Callable[[], None] | None = None
    popen_options: Mapping[str, object] = field(default_factory=dict)
    note: str = ""
    once: bool = False
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL


STORES = ("postgres", "elasticsearch", "s3")
# One process in the place of the services for callers and of the gateway.
SINGLE = "api"
REPLACED = ("query", "write", "jobs", "gateway")
# Every process of our own besides: name, command, the parts it needs, of those that there are.
SERVICES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "query": (("connectra-query",), ("migrate", "s3")),
    "write": (("connectra-write",), ("migrate", "s3")),
    "indexer": (("connectra-write-indexer",), ("migrate",)),
    "jobs": (("connectra-jobs",), ("migrate", "s3")),
    "first_time": (("connectra", "jobs", "first_time"), ("query", "write", "jobs", SINGLE)),
    "retry": (("connectra", "jobs", "retry"), ("query", "write", "jobs", SINGLE)),
}
NAMES = (*STORES, *SERVICES, "gateway")


def build_parts(config: Config, only: str | None = None) -> list[Part]:
    """The parts for this configuration, in the order in which they are shown.

    Args:
        config: the configuration.
        only: names of parts, such as "postgres,s3"; None means all.

    Raises:
        LocalError: there is no part of that name, or this machine lacks what a part needs.
    """
    builders: dict[str, Callable[[Config], Part]] = {
        "postgres": _postgres,
        "elasticsearch": _elasticsearch,
        "s3": _s3,
        "migrate": _migrate,
        **{name: partial(_service, name=name) for name in SERVICES},
        "gateway": _gateway,
    }
    if config.single:
        builders = {name: build for name, build in builders.items() if name not in REPLACED} | {SINGLE: _single}
    wanted = [name.strip() for name in only.split(",")] if only else list(builders)
    if unknown := set(wanted) - set(builders):
        raise LocalError(f"there is no part {', '.join(sorted(unknown))}; the parts are {', '.join(builders)}")
    return [build(config) for name, build in builders.items() if name in wanted]


def addresses(config: Config) -> dict[str, str]:
    """The address of each part, whether it is running or not."""
    return {
        "postgres": address_of(config.postgres_dsn),
        "elasticsearch": address_of(config.elasticsearch_url),
        "s3": address_of(config.s3.url),
        **{name: config.local(name) for name in SERVICES},
        "gateway": address_of(config.gateway_url),
    }


def layers(parts: Iterable[Part]) -> list[list[Part]]:
    """The parts in the order in which they start: each layer needs only earlier ones."""
    rest = {part.name: part for part in parts}
    ordered: list[list[Part]] = []
    while rest:
        layer = [part for part in rest.values() if not any(need in rest for need in part.needs)]
        ordered.append(layer)
        for part in layer:
            del rest[part.name]
    return ordered


def _postgres(config: Config) -> Part:
    dsn = config.postgres_dsn
    if config.external_postgres:
        return Part("postgres", address_of(dsn), partial(ready.postgres, dsn))
    cluster = postgres.Cluster.place(config)
    return Part(
        "postgres",
        address_of(dsn),
        partial(ready.postgres_with_database, dsn, dict(map(config.login, (*SERVICES, SINGLE))), _memberships(config)),
        command=tuple(cluster.command()),
        ports=("postgres",),
        prepare=cluster.prepare,
        popen_options=cluster.account.popen_options() if cluster.account else {},
        note="" if cluster.data.is_relative_to(config.home.path) else f"data in {cluster.data}",
        stop_signal=signal.SIGINT,  # fast shutdown: sessions are cut off, nothing is lost
        death_signal=signal.SIGQUIT,  # immediate shutdown, children included; the next start recovers
    )


def _memberships(config: Config) -> dict[str, list[str]]:
    """The roles that a login of several processes is a member of."""
    return {config.login(SINGLE)[0]: [config.login(name)[0] for name in REPLACED if name in SERVICES]}


def _elasticsearch(config: Config) -> Part:
    url = config.elasticsearch_url
    if config.external_elasticsearch:
        ca_file = config.env.get("ELASTICSEARCH_SSL_CA_FILE")
        return Part("elasticsearch", address_of(url), partial(ready.elasticsearch, url, ca_file))
    home, native = config.home, config.home.run / "native"
    command = elasticsearch.command(
        elasticsearch.installation(home.downloads),
        config.ports["elasticsearch"],
        home.data / "elasticsearch",
        native,
        config.settings.elasticsearch_heap,
    )
    return Part(
        "elasticsearch",
        address_of(url),
        partial(ready.elasticsearch, url),
        command=tuple(command),
        ports=("elasticsearch",),
        prepare=partial(elasticsearch.link_libzstd, native),
    )


def _s3(config: Config) -> Part:
    access = config.s3
    if config.external_s3:
        return Part("s3", address_of(access.url), partial(ready.s3, access))
    data = config.home.data / "s3"
    return Part(
        "s3",
        address_of(access.url),
        partial(ready.s3, access),
        command=tuple(s3.command(data, config.home.run, config.ports, access.bucket)),
        env=s3.environment(access),
        ports=tuple(name for name in config.ports if name == "s3" or name.startswith("s3_")),
        prepare=partial(data.mkdir, parents=True, exist_ok=True),
    )


def _migrate(config: Config) -> Part:
    return Part(
        "migrate",
        "",
        None,
        needs=("postgres", "elasticsearch"),
        command=(script("connectra"), "migrate"),
        env=config.service_environment(),
        once=True,
    )


def _service(config: Config, name: str) -> Part:
    (program, *arguments), needs = SERVICES[name]
    address = config.local(name)
    listen = {"GRPC_LISTEN": address, "METRICS_LISTEN": config.local(f"{name}_metrics")}
    ports: tuple[str, ...] = (name, f"{name}_metrics")
    if (internal := f"{name}_internal") in config.ports:
        listen["GRPC_INTERNAL_LISTEN"], ports = config.local(internal), (*ports, internal)
    return Part(
        name,
        address,
        partial(ready.grpc, address, config.grpc_tls),
        needs=needs,
        command=(script(program), *arguments),
        env=config.service_environment(name) | listen,
        ports=ports,
    )


def _gateway(config: Config) -> Part:
    state = config.home.run / "gateway"
    return Part(
        "gateway",
        address_of(config.gateway_url),
        partial(ready.http, f"{config.gateway_url}/health"),
        needs=("query", "write", "jobs"),
        command=(script("connectra-gateway"), "run"),
        env=config.service_environment(),
        ports=("gateway", "gateway_admin", "gateway_metrics"),
        prepare=partial(state.mkdir, parents=True, exist_ok=True),
    )


def _single(config: Config) -> Part:
    address, gateway = config.local("query"), _gateway(config)

    async def is_ready() -> None:
        await ready.grpc(address, config.grpc_tls)
        await ready.http(f"{config.gateway_url}/health")

    listen = {
        "GRPC_LISTEN": address,
        "GRPC_INTERNAL_LISTEN": config.local("write_internal"),
        "METRICS_LISTEN": config.local("query_metrics"),
    }
    return replace(
        gateway,
        name=SINGLE,
        ready=is_ready,
        needs=("migrate", "s3"),
        command=(script("connectra"), "api-server"),
        env=config.service_environment(SINGLE) | listen,
        ports=(*gateway.ports, "query", "query_metrics", "write_internal"),
    )


def script(name: str) -> str:
    return str(scripts_folder() / name)
