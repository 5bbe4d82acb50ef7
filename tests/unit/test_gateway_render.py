"""What the gateway renders, short of letting Envoy read it (tests/contract does)."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from connectra_common.settings import AppSettings, PeerSettings, TracingSettings
from connectra_gateway import keys, limits, render
from connectra_gateway.pages import pages
from connectra_gateway.replies import replies
from connectra_gateway.settings import GatewaySettings
from pydantic import ValidationError

KEY = "a-key-that-must-not-leak"


def gateway(**values: Any) -> GatewaySettings:
    return GatewaySettings(_env_file=None, **{"api_key": KEY, **values})


def peers(**values: Any) -> PeerSettings:
    return PeerSettings(_env_file=None, **values)


OFF = TracingSettings(_env_file=None)


def configuration(
    settings: GatewaySettings | None = None, upstreams: PeerSettings | None = None, tracing: TracingSettings = OFF
) -> str:
    return render.configuration(render.Files(Path("/state")), settings or gateway(), upstreams or peers(), tracing)


@pytest.mark.parametrize(
    ("requests", "tokens", "nanoseconds"),
    [
        (1, 1, 60 * 10**9),
        (30, 1, 2 * 10**9),
        (60, 1, 10**9),
        (1200, 1, 5 * 10**7),
        (6000, 5, 5 * 10**7),
        (7, 1, 8571428571),
    ],
)
def test_bucket_is_filled_in_small_steps(requests: int, tokens: int, nanoseconds: int) -> None:
    assert limits.per_minute(requests) == limits.Bucket(requests, tokens, nanoseconds)


@pytest.mark.parametrize("requests", [1, 7, 59, 61, 999, 1201, 100_000, 1_000_000])
def test_bucket_gives_a_minutes_worth_a_minute_and_never_fills_faster_than_envoy_can(requests: int) -> None:
    bucket = limits.per_minute(requests)

    assert bucket.fill_nanoseconds >= 50_000_000
    assert bucket.tokens_per_fill * 60 * 10**9 / bucket.fill_nanoseconds == pytest.approx(requests, rel=1e-6)


def test_bucket_interval_is_a_protobuf_duration() -> None:
    assert limits.per_minute(1200).config["fill_interval"] == "0.050000000s"
    assert limits.per_minute(30).config["fill_interval"] == "2.000000000s"


def test_documented_texts() -> None:
    envelopes = {reply.status: json.loads(reply.envelope) for reply in replies(1)}

    assert envelopes[401] == {
        "success": False,
        "error": "unauthorized",
        "error_code": "UNAUTHORIZED",
        "message": "invalid API key",
    }
    assert envelopes[429] == {
        "success": False,
        "error": "rate limit exceeded",
        "error_code": "RATE_LIMIT_EXCEEDED",
        "message": "too many requests, please try again later",
    }
    assert set(envelopes[404]) == {"success", "error", "error_code", "message", "details"}


def test_replies_hold_nothing_that_envoy_would_expand() -> None:
    assert not any("%" in reply.envelope + reply.text for reply in replies(1))


def test_configuration_holds_no_key() -> None:
    assert KEY not in configuration()


def test_configuration_has_the_settings() -> None:
    text = configuration(
        gateway(listen="[::1]:1234", max_request_bytes=4711, request_timeout_seconds=9),
        peers(write="write.example:5"),
    )

    assert 'address: "::1", port_value: 1234' in text
    assert "max_request_bytes: 4711" in text
    assert "value: 9S" in text
    assert 'address: "write.example", port_value: 5' in text
    assert "type: STRICT_DNS" in text


def test_traces_and_metrics_leave_the_gateway_only_where_asked() -> None:
    assert "collector" not in configuration()
    assert "name: metrics" not in configuration()
    tracing = TracingSettings(
        _env_file=None, endpoint="http://collector:4317", sampler="parentbased_traceidratio", sampler_ratio=0.25
    )
    traced = configuration(tracing=tracing)
    assert 'address: "collector", port_value: 4317' in traced
    assert "random_sampling: {value: 25.0}" in traced
    assert "transport_sockets.tls" not in traced


@pytest.mark.parametrize(
    ("method", "cluster", "idle"),
    [("jobs.v1.JobsService/WatchJob", "jobs", 0), ("query.v1.QueryService/ExportCompanies", "query", 120)],
)
def test_every_streaming_method_has_a_route_without_timeout(method: str, cluster: str, idle: int) -> None:
    lines = configuration().splitlines()
    at = next(number for number, line in enumerate(lines) if f"path: /connectra.{method}," in line)
    route = next(line for line in lines[at:] if "route:" in line)
    assert f"cluster: {cluster}_streams, timeout: 0s, idle_timeout: {idle}s" in route


def test_unknown_keys_are_those_that_match_none() -> None:
    resource = keys.unknown_keys(["one", "two"], 60)["resources"][0]["typed_config"]
    actions = [action["header_value_match"] for action in resource["rate_limits"][0]["actions"]]

    *with_key, with_token = [action["headers"][0] for action in actions]
    assert [header["string_match"]["exact"] for header in with_key] == ["one", "two"]
    assert with_token["name"] == keys.SUBJECT
    assert not any(action["expect_match"] for action in actions)
    assert len(resource["descriptors"][0]["entries"]) == 3


def test_files_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    files = render.render(tmp_path / "state", gateway(), peers(), OFF)
    written = [path for path in files.root.rglob("*") if path.is_file()]

    assert {path.name for path in written} == {
        "envoy.yaml",
        "envelope.lua",
        "descriptors.pb",
        *(page.name for page in pages()),
        "api_keys.json",
        "client_rights.json",
        "unknown_keys.json",
    }
    assert {stat.S_IMODE(path.stat().st_mode) for path in written} == {0o600}
    assert stat.S_IMODE(files.keys_dir.stat().st_mode) == 0o700
    credentials = json.loads(files.api_keys.read_text())["resources"][0]["typed_config"]["extension_config"][
        "typed_config"
    ]["credentials"]
    assert credentials == [{"key": KEY, "client": "default"}]


def test_rendering_again_replaces_the_files(tmp_path: Path) -> None:
    render.render(tmp_path, gateway(), peers(), OFF)
    before = render.Files(tmp_path).api_keys.stat().st_ino
    files = render.render(tmp_path, gateway(api_key="another-key"), peers(), OFF)

    # Envoy watches for moves only, so it must be a different file.
    assert files.api_keys.stat().st_ino != before
    assert "another-key" in files.api_keys.read_text()
    assert sorted(path.name for path in files.keys_dir.iterdir()) == [
        "api_keys.json",
        "client_rights.json",
        "unknown_keys.json",
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("admin_listen", "0.0.0.0:9901"),
        ("admin_listen", "localhost:9901"),
        ("listen", "somewhere:8000"),
        ("metrics_listen", "9150"),
        ("api_key", "short"),
        ("api_key", "with a space"),
        ("api_key", "schlüssel-1"),
        ("max_requests_per_minute", 0),
    ],
)
def test_setting_that_cannot_work_is_refused(name: str, value: object) -> None:
    with pytest.raises(ValidationError):
        gateway(**{name: value})


def test_debug_logging_does_not_reach_envoy(tmp_path: Path) -> None:
    files = render.Files(tmp_path)
    command = render.command("envoy", files, gateway(), AppSettings(_env_file=None, log_level="DEBUG"))

    # At debug level Envoy logs request headers, keys included.
    assert command[command.index("--log-level") + 1] == "info"


def test_missing_envoy_is_named() -> None:
    with pytest.raises(SystemExit, match="ENVOY_BIN"):
        render.envoy_binary("/nowhere/envoy")
