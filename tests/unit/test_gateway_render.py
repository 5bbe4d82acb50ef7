"""What the gateway renders, short of letting Envoy read it (tests/contract does)."""

import base64
import errno
import json
import stat
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from connectra.common.v1.error_reason_pb2 import ErrorReason
from connectra_common.rights import ALL
from connectra_common.settings import AppSettings, PeerSettings, TracingSettings
from connectra_gateway import clients, keys, render
from connectra_gateway.clients import Client, Key
from connectra_gateway.memory import max_heap_bytes
from connectra_gateway.pages import pages
from connectra_gateway.replies import replies
from connectra_gateway.settings import GatewaySettings
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from grpc import StatusCode
from pydantic import ValidationError

KEY = "a-key-that-must-not-leak"


def gateway(**values: Any) -> GatewaySettings:
    return GatewaySettings(_env_file=None, **{"api_key": KEY, **values})


def peers(**values: Any) -> PeerSettings:
    return PeerSettings(_env_file=None, **values)


OFF = TracingSettings(_env_file=None)
APP = AppSettings(_env_file=None)


def configuration(
    settings: GatewaySettings | None = None, upstreams: PeerSettings | None = None, tracing: TracingSettings = OFF
) -> str:
    return render.configuration(render.Files(Path("/state")), settings or gateway(), upstreams or peers(), tracing)


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


def test_reasons_of_replies_by_grpc_are_in_the_contract() -> None:
    rich = [Status.FromString(base64.b64decode(f"{reply.rich_status}===")) for reply in replies(1) if reply.rich_status]
    reasons = {(status.code, ErrorInfo.FromString(status.details[0].value).reason) for status in rich}

    assert {f"ERROR_REASON_{reason}" for _, reason in reasons} <= set(ErrorReason.keys())
    assert (StatusCode.DEADLINE_EXCEEDED.value[0], "DEADLINE_EXCEEDED") in reasons


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


def test_a_process_that_is_frozen_between_calls_is_called_without_checks_and_pings() -> None:
    usual, frozen = configuration(), configuration(gateway(profile="lambda"))
    for timed in ("health_checks:", "outlier_detection:", "connection_keepalive: {interval: 15s"):
        assert timed in usual
        assert timed not in frozen
    answered_by_itself = '{"status":"ok"}'
    assert answered_by_itself in usual
    assert answered_by_itself not in frozen


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


def test_unknown_keys_are_those_that_the_key_check_would_refuse() -> None:
    clients = [Client(name="a", keys=(Key(key="first-one"), Key(key="second-one"))), Client(name="b", keys=())]
    filter_config = keys.unknown_keys(clients, 60, 10)["resources"][0]["typed_config"]
    matcher = filter_config["xds_matcher"]

    assert set(matcher["matcher_tree"]["exact_match_map"]["map"]) == {
        "first-one", "Bearer first-one", "second-one", "Bearer second-one",
    }  # fmt: skip
    assert keys.SUBJECT in json.dumps(matcher["on_no_match"])
    assert keys.SUBJECT in json.dumps(keys.unknown_keys([], 60, 10)["resources"][0]["typed_config"]["xds_matcher"])


@pytest.mark.parametrize(
    ("name", "text", "mib"),
    [
        ("memory.max", "536870912\n", 384),
        ("memory.max", "max\n", 1024),
        ("memory/memory.limit_in_bytes", "536870912\n", 384),
        ("memory/memory.limit_in_bytes", "9223372036854771712\n", 1024),
        ("other", "1", 1024),
    ],
)
def test_heap_is_three_quarters_of_what_the_container_may_use(tmp_path: Path, name: str, text: str, mib: int) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)

    assert max_heap_bytes(None, tmp_path) == mib * 2**20
    assert max_heap_bytes(200, tmp_path) == 200 * 2**20


@pytest.mark.parametrize("broken", [b"{ broken", b"\xff\xfe\x00", b"\x80", b"[" * 100_000, b"[]", b"\x00" * 9])
def test_a_broken_file_of_clients_stops_no_gateway(
    tmp_path: Path, broken: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "keys.json"
    file.write_bytes(broken)
    settings = gateway(keys_file=str(file))
    files = render.render(tmp_path / "state", settings, peers(), OFF)
    assert '"client": "default"' in files.api_keys.read_text()
    crm = clients.add(tmp_path / "good.json", "crm", ALL)
    file.write_bytes((tmp_path / "good.json").read_bytes())
    render.render_keys(files, settings)
    file.write_bytes(broken)
    assert render.launcher(files, settings.model_copy(update={"envoy_bin": "sh"}), APP)._changed() == 10
    render.render(tmp_path / "state", settings, peers(), OFF)
    assert crm.key in files.api_keys.read_text()
    assert capsys.readouterr().err.count(f"the keys remain unchanged: {file}: ") == 3


def test_full_disk_leaves_the_keys_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = gateway(envoy_bin="sh")
    files = render.render(tmp_path, settings, peers(), OFF)
    before = files.api_keys.read_text()
    monkeypatch.setattr(tempfile, "mkstemp", Mock(side_effect=OSError(errno.ENOSPC, "No space left on device")))

    assert render.launcher(files, settings, APP)._changed() == render.RETRY_SECONDS
    assert files.api_keys.read_text() == before
    assert "No space left" in capsys.readouterr().err


def test_keys_are_rendered_again_when_one_expires(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    now = datetime.now(UTC)
    later = clients.add(file, "later", ALL, expires_at=now + timedelta(hours=1))
    clients.add(file, "past", ALL, expires_at=now - timedelta(hours=1))
    settings = gateway(keys_file=str(file), envoy_bin="sh")
    files = render.render(tmp_path / "state", settings, peers(), OFF)
    credentials = json.loads(files.api_keys.read_text())["resources"][0]["typed_config"]["extension_config"][
        "typed_config"
    ]["credentials"]

    assert {one["client"] for one in credentials} == {"default", "later"}
    assert later.key in files.unknown_keys.read_text()
    assert 3500 < render.launcher(files, settings, APP)._changed() < 3600


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
        "rate_limit.json",
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
        "rate_limit.json",
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
        ("jwt_jwks", "http://issuer.example/keys"),
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
