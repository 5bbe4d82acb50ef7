"""The image and the template of the Lambda function. `make lambda-template` asks SAM, `make lambda` runs the function."""

import re
import subprocess
from importlib.metadata import entry_points
from typing import Any

import yaml
from connectra_common.settings import groups, variables
from connectra_single.main import LEAST_SHARED

from tests.support.dockerfiles import LAMBDA, environment, stages
from tests.support.paths import ROOT

FOLDER = ROOT / "deploy/lambda"
MAX_PAYLOAD_BYTES = 6 * 1024 * 1024
SETTINGS = entry_points(group="connectra.settings")["api-server"].load()
KNOWN = {
    name for group in groups(SETTINGS).values() for field in group.model_fields.values() for name in variables(field)
}


class _Loader(yaml.SafeLoader):
    """Reads what `!Ref` and the like are given, without what they make of it."""


_Loader.add_multi_constructor("!", lambda loader, tag, node: node.value)
TEMPLATE = yaml.load((FOLDER / "template.yaml").read_text(), _Loader)
FUNCTION: dict[str, Any] = TEMPLATE["Resources"]["Function"]


def test_the_image_is_the_one_of_the_whole_api_with_the_adapter_as_an_extension() -> None:
    adapter, final = stages(LAMBDA)
    assert [adapter[0].value, final[0].value] == ["${ADAPTER_IMAGE} AS adapter", "${SINGLE_IMAGE}"]
    copied = [step.value for step in final if step.name == "COPY"]
    assert copied == ["--from=adapter /lambda-adapter /opt/extensions/lambda-adapter"]
    assert {"ENTRYPOINT", "USER", "RUN"}.isdisjoint(step.name for step in final)
    assert FUNCTION["Metadata"]["Dockerfile"] == str((FOLDER / "Dockerfile").relative_to(ROOT))
    assert (FOLDER / FUNCTION["Metadata"]["DockerContext"]).resolve() == ROOT


def test_the_adapter_that_is_tested_is_that_of_the_image() -> None:
    (version,) = re.findall(
        r"^ARG ADAPTER_IMAGE=public\.ecr\.aws/awsguru/aws-lambda-adapter:([\d.]+)$",
        (FOLDER / "Dockerfile").read_text(),
        re.MULTILINE,
    )
    said = subprocess.run(["make", "--dry-run", "lambda"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert f"lambda_web_adapter@{version}\n" in said.stdout


def test_image_and_template_set_only_what_there_is() -> None:
    ours = {name for name in environment(LAMBDA) if not name.startswith("AWS_LWA_")}
    assert ours <= KNOWN
    given = FUNCTION["Properties"]["Environment"]["Variables"]
    assert given.keys() <= KNOWN
    assert given.keys().isdisjoint(ours)


def test_it_answers_before_lambda_and_the_http_api_give_up() -> None:
    settings, properties = environment(LAMBDA), FUNCTION["Properties"]
    gateway = float(settings["GATEWAY_TIMEOUT_SECONDS"]) + 1
    assert gateway < properties["Timeout"] < properties["Events"]["Any"]["Properties"]["TimeoutInMillis"] / 1000 <= 30
    for name in ("GATEWAY_MAX_REQUEST_BYTES", "GATEWAY_MAX_RESPONSE_BYTES"):
        assert int(settings[name]) * 4 / 3 < MAX_PAYLOAD_BYTES
    assert int(settings["PG_POOL_SIZE"]) == LEAST_SHARED
    address = f"{settings['AWS_LWA_HOST']}:{settings['AWS_LWA_PORT']}"
    assert settings["GATEWAY_LISTEN"] == address


def test_the_template_holds_no_secret_and_takes_each_from_where_they_are_kept() -> None:
    secret = re.compile("PASSWORD|SECRET_KEY|ACCESS_KEY|API_KEY")
    given = FUNCTION["Properties"]["Environment"]["Variables"]
    kept = {name: value for name, value in given.items() if secret.search(name)}
    assert kept == {name: f"{{{{resolve:secretsmanager:${{Secret}}:SecretString:{name}}}}}" for name in kept}
    assert len(kept) == 5
