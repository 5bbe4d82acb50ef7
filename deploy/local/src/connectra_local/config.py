"""The configuration: the environment, then `.env` in the project root, then defaults that work as they are."""

import hmac
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import quote, urlsplit

from dotenv import dotenv_values

from connectra_local.home import Home, LocalError, Secrets, project_root
from connectra_local.ports import configured_ports, free_ports
from connectra_local.settings import LocalSettings

POSTGRES_USER = "connectra"
# Which role in the database a process has, where it is not its name.
ROLES = {"first_time": "worker", "retry": "worker"}
SERVICE_DEFAULTS = {
    "APP_ENV": "development",
    "LOG_FORMAT": "json",
    "PG_DB_DATABASE": "connectra",
    "S3_REGION": "us-east-1",
    "S3_BUCKET": "connectra",
    "MAX_REQUESTS_PER_MINUTE": "6000",
    # The limit of a container in which all of this runs is not the gateway's alone.
    "GATEWAY_MAX_HEAP_MIB": "1024",
    "PARALLEL_JOBS": "2",
    "TICKER_INTERVAL_MINUTES": "1",
    "JOB_IN_QUEUE_SIZE": "100",
    "BATCH_SIZE_FOR_INSERTION": "2000",
}


def merged_environment() -> dict[str, str]:
    """The real environment, completed from the `.env` file ($CONNECTRA_ENV_FILE or the one in the project root).

    A variable with an empty value counts as unset.
    """
    file = os.environ.get("CONNECTRA_ENV_FILE", str(project_root() / ".env"))
    values = {**(dotenv_values(file) if file else {}), **os.environ}
    return {name: value for name, value in values.items() if value}


@dataclass(frozen=True)
class S3Access:
    """An S3 bucket and how to reach it.

    Args:
        endpoint: host:port, or "" for AWS.
        ssl: whether the endpoint speaks TLS.
        region: of the bucket.
        bucket: its name.
        access_key: of an account that may read and write it.
        secret_key: of that account.
        ca_file: PEM file of the authority to trust; None trusts the system's.
    """

    endpoint: str
    ssl: bool
    region: str
    bucket: str
    access_key: str
    secret_key: str
    ca_file: str | None = None

    @property
    def url(self) -> str:
        if not self.endpoint:
            return f"https://s3.{self.region}.amazonaws.com"
        return f"{'https' if self.ssl else 'http'}://{self.endpoint}"


@dataclass(frozen=True)
class Config:
    """Settings of one run. `external_…` tells whether the documented variables name an existing server to use.

    Args:
        home: the state folder.
        env: the merged environment.
        ports: port numbers by name, see `ports.DEFAULT_PORTS`.
        single: whether one process has the services for callers and the gateway.
    """

    home: Home
    env: Mapping[str, str]
    ports: Mapping[str, int]
    single: bool = False

    @classmethod
    def load(cls, home: Home, use_free_ports: bool = False, single: bool = False) -> "Config":
        env = merged_environment()
        ports = free_ports() if use_free_ports or LocalSettings.read(env).free_ports else configured_ports(env)
        if listen := env.get("GATEWAY_LISTEN"):
            port = listen.rpartition(":")[2]
            if not port.isdecimal():
                raise LocalError(f"GATEWAY_LISTEN={listen} is not host:port")
            ports["gateway"] = int(port)
        if single:
            ports |= dict.fromkeys(("write", "jobs"), ports["query"])
        return cls(home, env, ports, single)

    @cached_property
    def settings(self) -> LocalSettings:
        return LocalSettings.read(self.env)

    @cached_property
    def secrets(self) -> Secrets:
        return Secrets.load(self.home)

    def get(self, name: str) -> str:
        return self.env.get(name) or SERVICE_DEFAULTS.get(name, "")

    def local(self, port_name: str) -> str:
        return f"127.0.0.1:{self.ports[port_name]}"

    # --- PostgreSQL

    @property
    def postgres_url(self) -> str | None:
        """PG_DB_CONNECTION if it is a URL; it may hold any word."""
        value = self.env.get("PG_DB_CONNECTION", "")
        return value if urlsplit(value).scheme in ("postgres", "postgresql") else None

    @property
    def external_postgres(self) -> bool:
        return "PG_DB_HOST" in self.env or self.postgres_url is not None

    @property
    def postgres_dsn(self) -> str:
        if self.postgres_url:
            return self.postgres_url
        database = self.get("PG_DB_DATABASE")
        if not self.external_postgres:
            return f"postgresql://{POSTGRES_USER}:{self.secrets.postgres_password}@{self.local('postgres')}/{database}"
        user, password = quote(self.get("PG_DB_USERNAME"), safe=""), quote(self.get("PG_DB_PASSWORD"), safe="")
        return f"postgresql://{user}:{password}@{self.env['PG_DB_HOST']}:{self.get('PG_DB_PORT') or 5432}/{database}"

    # --- Elasticsearch

    @property
    def external_elasticsearch(self) -> bool:
        return "ELASTICSEARCH_HOST" in self.env or "ELASTICSEARCH_CONNECTION" in self.env

    @property
    def elasticsearch_url(self) -> str:
        if url := self.env.get("ELASTICSEARCH_CONNECTION"):
            return url
        if not self.external_elasticsearch:
            return f"http://{self.local('elasticsearch')}"
        scheme = "https" if is_true(self.env.get("ELASTICSEARCH_SSL")) else "http"
        login = ""
        if is_true(self.env.get("ELASTICSEARCH_AUTH")):
            user, password = self.get("ELASTICSEARCH_USERNAME"), self.get("ELASTICSEARCH_PASSWORD")
            login = f"{quote(user, safe='')}:{quote(password, safe='')}@"
        return f"{scheme}://{login}{self.env['ELASTICSEARCH_HOST']}:{self.get('ELASTICSEARCH_PORT') or 9200}"

    # --- S3

    @property
    def external_s3(self) -> bool:
        return "S3_ENDPOINT" in self.env or "S3_ACCESS_KEY" in self.env

    @property
    def s3(self) -> S3Access:
        region, bucket = self.get("S3_REGION"), self.get("S3_BUCKET")
        if not self.external_s3:
            keys = self.secrets
            return S3Access(self.local("s3"), False, region, bucket, keys.s3_access_key, keys.s3_secret_key)
        endpoint = self.get("S3_ENDPOINT")
        access_key, secret_key = self.get("S3_ACCESS_KEY"), self.get("S3_SECRET_KEY")
        use_ssl, ca_file = is_true(self.env.get("S3_SSL")), self.env.get("S3_SSL_CA_FILE")
        return S3Access(endpoint, use_ssl, region, bucket, access_key, secret_key, ca_file)

    # --- our own processes

    @property
    def grpc_tls(self) -> ssl.SSLContext | None:
        """What to verify the services with; None when they do not speak TLS."""
        if not (ca_file := self.env.get("GRPC_TLS_CA_FILE")):
            return None
        context = ssl.create_default_context(cafile=ca_file)
        context.set_alpn_protocols(["h2"])
        if certificate := self.env.get("GRPC_TLS_CERT_FILE"):
            context.load_cert_chain(certificate, self.env.get("GRPC_TLS_KEY_FILE"))
        return context

    @property
    def api_key(self) -> str:
        return self.env.get("API_KEY") or self.secrets.api_key

    @property
    def gateway_listen(self) -> str:
        return self.env.get("GATEWAY_LISTEN") or self.local("gateway")

    @property
    def gateway_url(self) -> str:
        """The gateway's address as seen from this machine, also when it listens on all interfaces."""
        host, _, port = self.gateway_listen.rpartition(":")
        return f"http://{'127.0.0.1' if host in ('', '0.0.0.0', '[::]') else host}:{port}"  # noqa: S104

    def login(self, process: str) -> tuple[str, str]:
        """Role and password of a process in the embedded database; migrate gives the role its rights."""
        name = f"{POSTGRES_USER}_{ROLES.get(process, process)}"
        return name, hmac.digest(self.secrets.postgres_password.encode(), name.encode(), "sha256").hex()

    def service_environment(self, process: str | None = None) -> dict[str, str]:
        """The variables of a process of our own; without a name, of one that owns the database.

        What is configured takes precedence over what is generated, except for the address and login of an embedded server.
        """
        generated = {
            **SERVICE_DEFAULTS,
            "API_KEY": self.api_key,
            "QUERY_ADDRESS": self.local("query"),
            "WRITE_ADDRESS": self.local("write"),
            "JOBS_ADDRESS": self.local("jobs"),
            "WRITE_INTERNAL_ADDRESS": self.local("write_internal"),
            "GATEWAY_LISTEN": self.gateway_listen,
            "GATEWAY_ADMIN_LISTEN": self.local("gateway_admin"),
            "GATEWAY_METRICS_LISTEN": self.local("gateway_metrics"),
            "GATEWAY_STATE_DIR": str(self.home.run / "gateway"),
            "GATEWAY_KEYS_FILE": str(self.home.path / "keys.json"),
            "GATEWAY_UPLOAD_ORIGINS": self.s3.url,
        }
        return {**generated, **self.env, **self._embedded_servers(process)}

    def _embedded_servers(self, process: str | None) -> dict[str, str]:
        """Address and login of the embedded servers, each group complete: half-set variables must not reach them."""
        embedded: dict[str, str] = {}
        if not self.external_postgres:
            user, password = self.login(process) if process else (POSTGRES_USER, self.secrets.postgres_password)
            embedded |= {
                "PG_DB_HOST": "127.0.0.1",
                "PG_DB_PORT": str(self.ports["postgres"]),
                "PG_DB_USERNAME": user,
                "PG_DB_PASSWORD": password,
                "PG_DB_SSL": "false",
                "PG_ROLES": "true",
                "PG_ROLE_PREFIX": POSTGRES_USER,
            }
        if not self.external_elasticsearch:
            embedded |= {
                "ELASTICSEARCH_HOST": "127.0.0.1",
                "ELASTICSEARCH_PORT": str(self.ports["elasticsearch"]),
                "ELASTICSEARCH_AUTH": "false",
                "ELASTICSEARCH_SSL": "false",
            }
        if not self.external_s3:
            embedded |= {
                "S3_ACCESS_KEY": self.s3.access_key,
                "S3_SECRET_KEY": self.s3.secret_key,
                "S3_ENDPOINT": self.s3.endpoint,
                "S3_SSL": "false",
            }
        return embedded

    def connection(self) -> dict[str, object]:
        """Addresses and keys: what `status --json` prints besides the parts."""
        s3 = self.s3
        return {
            "gateway": self.gateway_url,
            "api_key": self.api_key,
            "postgres": self.postgres_dsn,
            "elasticsearch": self.elasticsearch_url,
            "s3": {
                "endpoint": s3.url,
                "bucket": s3.bucket,
                "access_key": s3.access_key,
                "secret_key": s3.secret_key,
            },
            "grpc": {name: self.local(name) for name in ("query", "write", "jobs", "write_internal")},
        }


def is_true(text: str | None) -> bool:
    return (text or "").strip().lower() in ("1", "true", "yes", "on")


def address_of(url: str) -> str:
    """host:port of a URL, without its login."""
    return urlsplit(url).netloc.rpartition("@")[2]


def scripts_folder() -> Path:
    """The folder of this environment's console scripts."""
    import sysconfig

    return Path(sysconfig.get_path("scripts"))
