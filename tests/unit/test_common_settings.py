"""Settings: documented names, one line per problem, no secret printed."""

from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from connectra_common.settings import (
    AppSettings,
    ElasticsearchSettings,
    PeerSettings,
    PostgresSettings,
    S3Settings,
    ServerSettings,
    groups,
    load,
    variables,
)
from connectra_gateway.settings import GatewaySettings
from connectra_jobs.settings import JobsSettings

from tests.support.environment import cleared

REQUIRED = {
    "PG_DB_USERNAME": "app",
    "PG_DB_PASSWORD": "s:e/c@ret",
    "S3_ACCESS_KEY": "a",
    "S3_SECRET_KEY": "s3secret",
    "S3_BUCKET": "b",
}


@dataclass(frozen=True)
class Everything:
    app: AppSettings
    postgres: PostgresSettings
    elasticsearch: ElasticsearchSettings
    s3: S3Settings
    jobs: JobsSettings


@dataclass(frozen=True)
class Secured:
    server: ServerSettings
    peers: PeerSettings
    postgres: PostgresSettings
    s3: S3Settings


# What each process reads; the local suite reads its own by other means.
PROCESSES = {point.name: point.load() for point in entry_points(group="connectra.settings") if point.name != "local"}


# The variables of the documentation, each with a value that is not its default.
DOCUMENTED = {
    "APP_ENV": "staging",
    "API_KEY": "a-key-of-this-test",
    "MAX_REQUESTS_PER_MINUTE": "180",
    "MEMORY_LOG_INTERVAL_SECONDS": "900",
    "PG_DB_HOST": "db",
    "PG_DB_PORT": "5433",
    "PG_DB_DATABASE": "people",
    "PG_DB_USERNAME": "somebody",
    "PG_DB_PASSWORD": "changed",
    "PG_DB_CONNECTION": "postgresql://u:p@h/d",
    "PG_DB_DEBUG": "true",
    "PG_DB_SSL": "true",
    "PG_POOL_SIZE": "100",
    "ELASTICSEARCH_HOST": "search",
    "ELASTICSEARCH_PORT": "9201",
    "ELASTICSEARCH_USERNAME": "elastic",
    "ELASTICSEARCH_PASSWORD": "changed",
    "ELASTICSEARCH_SSL": "true",
    "ELASTICSEARCH_DEBUG": "true",
    "ELASTICSEARCH_CONNECTION": "http://search:9201",
    "ELASTICSEARCH_MAX_CONNECTIONS": "100",
    "S3_ACCESS_KEY": "key",
    "S3_SECRET_KEY": "changed",
    "S3_REGION": "eu-west-1",
    "S3_BUCKET": "files",
    "S3_ENDPOINT": "minio:9000",
    "S3_SSL": "false",
    "S3_DEBUG": "true",
    "S3_UPLOAD_URL_TTL_HOURS": "12",
    "S3_UPLOAD_FILE_PATH_PRIFIX": "connectra/",
    "JOB_IN_QUEUE_SIZE": "7",
    "PARALLEL_JOBS": "5",
    "TICKER_INTERVAL_MINUTES": "5",
    "BATCH_SIZE_FOR_INSERTION": "500",
    "JOB_TYPE": "insert_csv_file",
}
# Of those that need others.
TOGETHER = {"ELASTICSEARCH_AUTH": {"ELASTICSEARCH_USERNAME": "elastic", "ELASTICSEARCH_PASSWORD": "secret"}}


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cleared(monkeypatch, tmp_path)


def set_all(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    for name, value in {**REQUIRED, **values}.items():
        monkeypatch.setenv(name, value)


def test_every_problem_of_every_model_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, PG_DB_PORT="much", PARALLEL_JOBS="0", ELASTICSEARCH_AUTH="true", S3_UPLOAD_URL_TTL_HOURS="-1")
    monkeypatch.delenv("S3_BUCKET")
    with pytest.raises(SystemExit) as stopped:
        load(Everything)
    lines = str(stopped.value).splitlines()
    named = ["PG_DB_PORT", "ELASTICSEARCH_USERNAME", "S3_BUCKET", "S3_UPLOAD_URL_TTL_HOURS", "PARALLEL_JOBS"]
    assert all(any(name in line for line in lines) for name in named)
    assert len(lines) == len(named)


def test_secrets_are_never_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, S3_UPLOAD_URL_TTL_HOURS="x")
    monkeypatch.setenv("API_KEY", "short")
    with pytest.raises(SystemExit) as stopped:
        load(GatewaySettings)
    assert "short" not in str(stopped.value)
    monkeypatch.setenv("S3_UPLOAD_URL_TTL_HOURS", "1")
    printed = repr(load(Everything))
    assert "s3secret" not in printed
    assert "s:e/c@ret" not in printed


def test_the_database_url_is_put_together_and_escaped_or_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, PG_DB_HOST="db", PG_DB_CONNECTION="pgsql")
    assert load(PostgresSettings).dsn() == "postgresql://app:s%3Ae%2Fc%40ret@db:5432/connectra"
    monkeypatch.setenv("PG_DB_CONNECTION", "postgres://u:p@h/d")
    assert load(PostgresSettings).dsn("postgresql+asyncpg") == "postgresql+asyncpg://u:p@h/d"


@pytest.mark.parametrize("name", ["S3_UPLOAD_FILE_PATH_PRIFIX", "S3_UPLOAD_FILE_PATH_PREFIX"])
def test_the_upload_prefix_is_taken_in_both_spellings(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    set_all(monkeypatch, **{name: "connectra/"})
    assert load(S3Settings).key("f.csv") == "connectra/f.csv"


def test_the_environment_wins_over_the_env_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("ELASTICSEARCH_HOST=from-file\nELASTICSEARCH_PORT=1234\n")
    monkeypatch.setenv("ELASTICSEARCH_HOST", "from-environment")
    assert load(ElasticsearchSettings).url == "http://from-environment:1234"


@pytest.mark.parametrize("where", ["environment", "file"])
@pytest.mark.parametrize("process", sorted(PROCESSES))
def test_variables_of_other_programs_do_not_count(monkeypatch: pytest.MonkeyPatch, process: str, where: str) -> None:
    """HOST, PORT, USERNAME, PASSWORD, DEBUG, LISTEN …: what the fields are called in code."""
    set_all(monkeypatch)
    wanted = PROCESSES[process]
    before = load(wanted)
    documented = {
        name for group in groups(wanted).values() for field in group.model_fields.values() for name in variables(field)
    }
    names = {name.upper() for group in groups(wanted).values() for name in group.model_fields} - documented
    if where == "file":
        Path(".env").write_text("".join(f"{name}=1\n" for name in names))
    else:
        for name in names:
            monkeypatch.setenv(name, "1")
    assert load(wanted) == before


@pytest.mark.parametrize("variable", [*DOCUMENTED, *TOGETHER])
def test_a_documented_variable_counts_wherever_it_is_read(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    set_all(monkeypatch, **TOGETHER.get(variable, {}))
    readers = {
        name: wanted
        for name, wanted in PROCESSES.items()
        if any(
            variable in variables(field) for group in groups(wanted).values() for field in group.model_fields.values()
        )
    }
    before = {name: load(wanted) for name, wanted in readers.items()}
    monkeypatch.setenv(variable, DOCUMENTED.get(variable, "true"))
    assert before
    assert [name for name, wanted in readers.items() if load(wanted) == before[name]] == []


def test_an_empty_variable_is_an_absent_one(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, JOB_IN_QUEUE_SIZE="", S3_ENDPOINT="")
    assert load(JobsSettings).job_in_queue_size == 100
    assert load(S3Settings).endpoint_url is None


def test_tls_settings_that_would_not_protect_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "file.pem"
    file.touch()
    set_all(
        monkeypatch,
        GRPC_TLS_CERT_FILE=str(file),
        PG_DB_CONNECTION="postgresql://u:p@h/d?sslmode=verify-full",
        S3_SSL_CA_FILE=str(tmp_path / "missing.pem"),
    )
    with pytest.raises(SystemExit) as stopped:
        load(Secured)
    lines = str(stopped.value).splitlines()
    assert len(lines) == 3
    assert all(any(part in line for line in lines) for part in ("GRPC_TLS_KEY_FILE", "PG_DB_SSL", "S3_SSL_CA_FILE"))
    monkeypatch.delenv("GRPC_TLS_CERT_FILE")
    monkeypatch.setenv("GRPC_TLS_CLIENT_AUTH", "true")
    with pytest.raises(SystemExit, match="GRPC_TLS_CLIENT_AUTH needs"):
        load(ServerSettings)
