"""What tools make of the OpenAPI document: linters have nothing to say, and generated clients in TypeScript and Python work.

They need node packages and openapi-python-client in PATH; `make clients` fetches them and runs this.
"""

import json
import os
import shutil
from importlib import resources
from pathlib import Path

import pytest

from tests.contract.test_other_clients import output_of
from tests.support.paths import ROOT
from tests.support.stack import Stack
from tests.support.walks import FOLDER, walk

DOCUMENT = str(resources.files("connectra_gateway").joinpath("openapi.json"))
RULES = ROOT / "libs/reference/lint"

LINTERS = {
    "vacuum": (
        *("lint", "--no-banner", "--no-style", "--details", "--fail-severity", "info"),
        # Groups have groups, and trees of conditions trees.
        *("--ignore-array-circle-ref", "--ignore-polymorph-circle-ref"),
        *("--ruleset", f"{RULES}/vacuum.yaml", DOCUMENT),
    ),
    "redocly": ("lint", "--config", f"{RULES}/redocly.yaml", "--max-problems", "20", DOCUMENT),
    "spectral": ("lint", "--ruleset", f"{RULES}/spectral.yaml", "--fail-severity", "hint", DOCUMENT),
}


@pytest.mark.parametrize("name", LINTERS)
async def test_a_linter_has_nothing_to_say(name: str) -> None:
    if not shutil.which(name):
        pytest.skip(f"no {name} here")
    told = await output_of(name, *LINTERS[name])
    assert "You have" not in told  # so many warnings, says redocly, and that all is well


@pytest.mark.skipif(
    not (shutil.which("openapi-typescript") and shutil.which("tsc")), reason="no openapi-typescript here"
)
async def test_a_client_in_typescript_is_strictly_typed_and_walks_through(stack: Stack, tmp_path: Path) -> None:
    tools = Path(str(shutil.which("tsc"))).parents[1]
    (tmp_path / "node_modules").symlink_to(tools)
    (tmp_path / "package.json").write_text(json.dumps({"type": "module"}))
    for file in FOLDER.glob("*.ts"):
        shutil.copy(file, tmp_path)
    await output_of("openapi-typescript", DOCUMENT, "-o", str(tmp_path / "connectra.ts"))
    options = {"strict": True, "target": "es2022", "module": "nodenext", "skipLibCheck": True, "types": ["node"]}
    options |= {"exactOptionalPropertyTypes": False, "outDir": "out"}
    (tmp_path / "tsconfig.json").write_text(json.dumps({"compilerOptions": options, "include": ["*.ts"]}))
    await output_of("tsc", "--project", str(tmp_path))
    await walk(stack, tmp_path, ("node",), "js", tmp_path / "out")


CALLS = """
import os
from connectra_rest_api_client import AuthenticatedClient
from connectra_rest_api_client.api.contacts import count_contacts, create_contact, get_contact, list_contacts
from connectra_rest_api_client.api.jobs import list_jobs
from connectra_rest_api_client.models import ContactAnswer, ContactList, Count, JobList, ListJobsBody, NewContact, Vql

client = AuthenticatedClient(
    base_url=os.environ["CONNECTRA_URL"], token=os.environ["CONNECTRA_API_KEY"], prefix="", auth_header_name="X-API-Key"
)
new = NewContact(first_name="Jane", last_name="Doe", email="jane@generated.example")
created = create_contact.sync(client=client, body=new)
assert isinstance(created, ContactAnswer), created
found = get_contact.sync(created.data.uuid, client=client)
assert isinstance(found, ContactAnswer) and found.data.email == "jane@generated.example", found
page = list_contacts.sync(client=client, body=Vql(limit=1, track_total=True))
assert isinstance(page, ContactList) and page.total.value >= 1, page
counted = count_contacts.sync(client=client, body=Vql())
assert isinstance(counted, Count) and counted.count >= 1, counted
assert isinstance(list_jobs.sync(client=client, body=ListJobsBody(limit=1)), JobList)
"""


@pytest.mark.skipif(not shutil.which("openapi-python-client"), reason="no openapi-python-client here")
async def test_a_client_in_python_calls(stack: Stack, tmp_path: Path) -> None:
    made = tmp_path / "made"
    await output_of("openapi-python-client", "generate", "--path", DOCUMENT, "--output-path", str(made))
    (tmp_path / "calls.py").write_text(CALLS)
    python = f"{os.path.dirname(str(shutil.which('openapi-python-client')))}/python"
    own = {"CONNECTRA_URL": stack.gateway, "CONNECTRA_API_KEY": stack.api_key, "PYTHONPATH": str(made)}
    await output_of("env", *(f"{name}={value}" for name, value in own.items()), python, str(tmp_path / "calls.py"))
    # Beside our own.
    assert (made / "connectra_rest_api_client").is_dir()
