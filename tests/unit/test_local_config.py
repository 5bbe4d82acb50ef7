"""Configuration of the local stack: precedence, and what counts as an external server."""

import json
from pathlib import Path

import pytest
from connectra_gateway.clients import is_generated
from connectra_local.config import Config, merged_environment
from connectra_local.home import Home, Secrets
from connectra_local.ports import DEFAULT_PORTS
from connectra_local.state import without_secrets


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home", tmp_path / "downloads")


def config_of(home: Home, **env: str) -> Config:
    return Config(home, env, dict(DEFAULT_PORTS))


def test_the_real_environment_wins_over_the_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / ".env"
    file.write_text("S3_BUCKET=from-file\nS3_REGION=eu-west-1\nAPI_KEY=\n")
    monkeypatch.setenv("CONNECTRA_ENV_FILE", str(file))
    monkeypatch.setenv("S3_BUCKET", "from-environment")
    monkeypatch.delenv("S3_REGION", raising=False)
    monkeypatch.delenv("API_KEY", raising=False)
    merged = merged_environment()
    assert (merged["S3_BUCKET"], merged["S3_REGION"]) == ("from-environment", "eu-west-1")
    assert "API_KEY" not in merged, "an empty value is none"


def test_an_empty_env_file_name_means_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONNECTRA_ENV_FILE", "")
    monkeypatch.setenv("S3_BUCKET", "b")
    assert merged_environment()["S3_BUCKET"] == "b"


def test_without_any_setting_everything_is_embedded_and_keys_are_kept(home: Home) -> None:
    first, second = config_of(home).service_environment(), config_of(home).service_environment()
    assert first == second
    assert first["PG_DB_HOST"] == "127.0.0.1"
    assert first["S3_ENDPOINT"] == "127.0.0.1:9000"
    assert len(first["API_KEY"]) >= 32
    assert (home.path / "secrets.json").stat().st_mode & 0o777 == 0o600


def test_settings_win_over_what_was_made_up(home: Home) -> None:
    env = config_of(home, API_KEY="mine", PARALLEL_JOBS="7", S3_BUCKET="bucket").service_environment()
    assert (env["API_KEY"], env["PARALLEL_JOBS"], env["S3_BUCKET"]) == ("mine", "7", "bucket")


def test_half_a_login_does_not_reach_an_embedded_server(home: Home) -> None:
    config = config_of(home, PG_DB_PASSWORD="guess", PG_DB_PORT="5432")
    assert not config.external_postgres
    assert config.service_environment()["PG_DB_PASSWORD"] == config.secrets.postgres_password
    assert config.service_environment()["PG_DB_PORT"] == "54320"


@pytest.mark.parametrize(
    ("env", "attribute"),
    [
        ({"PG_DB_HOST": "db"}, "external_postgres"),
        ({"PG_DB_CONNECTION": "postgresql://db/x"}, "external_postgres"),
        ({"ELASTICSEARCH_HOST": "es"}, "external_elasticsearch"),
        ({"ELASTICSEARCH_CONNECTION": "http://es:9200"}, "external_elasticsearch"),
        ({"S3_ENDPOINT": "minio:9000"}, "external_s3"),
        ({"S3_ACCESS_KEY": "key"}, "external_s3"),
    ],
)
def test_the_documented_variables_name_an_external_server(home: Home, env: dict[str, str], attribute: str) -> None:
    kinds = ("external_postgres", "external_elasticsearch", "external_s3")
    assert {kind: getattr(config_of(home, **env), kind) for kind in kinds} == {
        kind: kind == attribute for kind in kinds
    }


def test_addresses_of_external_servers(home: Home) -> None:
    config = config_of(
        home,
        PG_DB_HOST="db",
        PG_DB_USERNAME="me",
        PG_DB_PASSWORD="p@ss/word",
        ELASTICSEARCH_HOST="es",
        ELASTICSEARCH_SSL="true",
        ELASTICSEARCH_AUTH="true",
        ELASTICSEARCH_USERNAME="elastic",
        ELASTICSEARCH_PASSWORD="x:y",
        S3_ACCESS_KEY="key",
        S3_REGION="eu-west-1",
    )
    assert config.postgres_dsn == "postgresql://me:p%40ss%2Fword@db:5432/connectra"
    assert config.elasticsearch_url == "https://elastic:x%3Ay@es:9200"
    assert config.s3.url == "https://s3.eu-west-1.amazonaws.com"


def test_a_gateway_on_all_interfaces_is_reached_at_this_machine(home: Home) -> None:
    assert config_of(home, GATEWAY_LISTEN="0.0.0.0:8080").gateway_url == "http://127.0.0.1:8080"


def test_status_has_exactly_the_promised_keys(home: Home) -> None:
    connection = config_of(home).connection()
    assert list(connection) == ["gateway", "api_key", "postgres", "elasticsearch", "s3", "grpc"]
    ports = {"query": 50051, "write": 50052, "jobs": 50053, "write_internal": 50057}
    assert connection["grpc"] == {name: f"127.0.0.1:{port}" for name, port in ports.items()}


def test_status_shows_addresses_and_no_secret_unless_it_is_asked_to(home: Home) -> None:
    config = config_of(home)
    said = json.dumps(without_secrets(config.connection()))
    secrets = (config.api_key, config.secrets.postgres_password, config.s3.secret_key)
    assert [secret for secret in secrets if secret in said] == []
    assert all(address in said for address in (config.gateway_url, config.elasticsearch_url, config.s3.url))


def test_the_key_of_a_new_suite_is_one_that_scanners_of_secrets_know(home: Home) -> None:
    made = Secrets.load(home)
    assert is_generated(made.api_key)
    assert Secrets.load(home) == made
