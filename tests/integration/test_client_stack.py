"""The client on the whole real stack: the typed door through the gateway, and the command line as people use it."""

import asyncio
import csv
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from connectra_client import ApiError, ClientError, Company, Connectra, SyncConnectra, vql
from connectra_client.exit_codes import ExitCode
from connectra_client.proto.connectra.common.v1 import Contact
from connectra_client.proto.connectra.jobs.v1 import GetJobRequest, ListJobsRequest, PreviewImportRequest
from connectra_client.proto.connectra.query.v1 import (
    CheckHealthRequest,
    CountContactsRequest,
    ExportContactsRequest,
    GetContactRequest,
    ListContactsRequest,
)
from connectra_local.sample import sample_rows

from tests.support.stack import Stack
from tests.support.words import word

ROWS, SEED = 300, 4711
GIB = 1024**3


@pytest.fixture
async def connectra(stack: Stack) -> AsyncIterator[Connectra]:
    async with Connectra(stack.gateway, stack.api_key) as client:
        yield client


@pytest.fixture(scope="module")
def imported(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The result of `connectra import` of a sample with two rows that cannot be read."""
    file = tmp_path_factory.mktemp("client") / "sample.csv"
    assert stack.command("sample", str(ROWS), "--seed", str(SEED), "-o", str(file)).returncode == 0
    with file.open("a") as out:
        out.write("short\nshorter still,by one\n")
    return stack.command("import", str(file)), file


def mine() -> dict[str, Any]:
    """A query for the contacts of the sample alone."""
    urls = [str(row["person_linkedin_url"]).lower() for row in sample_rows(ROWS, SEED)]
    return {"where": {"keyword_match": {"must": {"linkedin_url": urls}}}}


def test_import_ends_well_and_shows_what_came_of_it(imported: Any) -> None:
    done, file = imported
    assert done.returncode == 0, done.stdout + done.stderr
    table = [line.split() for line in done.stdout.splitlines()]
    for line in (["status", "completed"], ["rows", f"{ROWS + 2}"], ["rejected", "2"]):
        assert line in table
    rejected = list(csv.DictReader(file.with_name("sample.rejected.csv").open()))
    assert [row["line"] for row in rejected] == [f"{ROWS + 2}", f"{ROWS + 3}"]


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_file_of_six_gib_goes_in_and_a_line_of_that_size_costs_itself(stack: Stack, tmp_path: Path) -> None:
    file, name = tmp_path / "huge.csv", word()
    with file.open("wb") as out:
        out.write(b"first_name,email\n%b,before@huge.example\n" % name.encode())
        out.seek(6 * GIB)  # a hole: zeros up to here
        out.write(b"\n%b,after@huge.example\n" % name.encode())
    done = stack.command("import", str(file), timeout=1500)
    assert done.returncode == 0, done.stdout + done.stderr
    table = [line.split() for line in done.stdout.splitlines()]
    for line in (["rows", "3"], ["created", "2"], ["rejected", "1"], ["bytes", f"{file.stat().st_size:,}"]):
        assert line in table, done.stdout


def test_a_large_file_goes_up_in_parts_and_comes_back(stack: Stack, tmp_path: Path) -> None:
    file = tmp_path / "large people.csv"
    with file.open("wb") as out:
        out.write(b"first_name,email,notes\n")
        for number in range(700):
            out.write(b"%d,%d@large.example,%s\n" % (number, number, b"x" * 100_000))
    done = stack.command("import", str(file), "--dry-run")
    key = done.stderr.splitlines()[0].removeprefix("key ")
    assert key.endswith("_large people.csv"), done.stdout + done.stderr
    again = stack.command("import", str(file), "--dry-run", "--resume", key)
    uuid = next(line.split()[1] for line in again.stdout.splitlines() if line.startswith("job "))
    assert uuid in done.stdout  # the same request: no second job
    fetched = stack.command("jobs", "fetch", uuid, "--source", "-o", str(tmp_path / ".."))
    assert fetched.returncode == 0, fetched.stderr
    back = tmp_path.parent / "large people.csv"
    assert back.read_bytes() == file.read_bytes()
    back.unlink()
    other = tmp_path / "other.csv"
    other.write_bytes(b"first_name\n")
    refused = stack.command("import", str(other), "--resume", "uploads/00000000-0000-4000-8000-000000000000_x")
    assert refused.returncode == 1
    assert "there is no upload" in refused.stderr


async def test_the_typed_clients_send_files_in_parts_too(
    stack: Stack, connectra: Connectra, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("aio", "sync"):
        monkeypatch.setattr(f"connectra_client.{module}.client.ONE_PUT_BYTES", 0)
    file = tmp_path / "people in parts.csv"
    file.write_text("first_name,email\nada,ada@parts.example\n")

    def blocking() -> str:
        with SyncConnectra(stack.gateway, stack.api_key) as client:
            return client.upload(file)

    for key in (await connectra.upload(file), await asyncio.to_thread(blocking)):
        preview = await connectra.jobs.preview_import(PreviewImportRequest(s3_key=key))
        assert [column.target for column in preview.columns] == ["first_name", "email"]
    with pytest.raises(ClientError, match="cannot be read"):
        await connectra.upload(tmp_path / "missing.csv")


async def test_numbers_history_and_versions_through_the_thin_layer(connectra: Connectra) -> None:
    made = await connectra.create_company(Company(name=f"Thin {word()}", city="Bonn"))
    uuid = made.uuid or ""
    changed = await connectra.update_company(Company(uuid=uuid), ["city"], row_version=made.row_version or 0)
    assert changed.city is None
    assert await connectra.get_company(uuid) == changed
    with pytest.raises(ApiError) as late:
        await connectra.update_company(Company(uuid=uuid, city="Ulm"), row_version=made.row_version or 0)
    assert late.value.code == "ABORTED"
    assert [entry.action async for entry in connectra.company_history(uuid)] == ["update", "create"]
    query = {"where": {"keyword_match": {"must": {"uuid": uuid}}}}
    group = await connectra.aggregate_companies(query, {"group_by": [{"field": "country", "size": 3}]})
    assert (group.count, group.missing) == (1, 1)
    assert [company.uuid async for company in connectra.search_companies(query)] == [uuid]
    await connectra.delete_company(uuid)
    assert await connectra.count_companies(query) == 0


async def test_what_was_imported_is_found_through_the_typed_door(imported: Any, connectra: Connectra) -> None:
    answer = await connectra.query.count_contacts(CountContactsRequest(query=vql(mine())))
    assert answer.count == ROWS
    page = await connectra.query.list_contacts(
        ListContactsRequest(query=vql({**mine(), "limit": 3, "order_by": [{"order_by": "last_name"}]}))
    )
    contacts = [row.contact for row in page.rows if row.contact]
    assert len(contacts) == 3
    assert [contact.last_name for contact in contacts] == sorted(contact.last_name or "" for contact in contacts)
    one: Contact | None = (await connectra.query.get_contact(GetContactRequest(uuid=contacts[0].uuid or ""))).contact
    assert one is not None
    assert one.email == contacts[0].email


async def test_a_typed_export_streams_every_row(imported: Any, connectra: Connectra) -> None:
    request = ExportContactsRequest(query=vql({**mine(), "select_columns": ["uuid", "email"]}))
    data = b"".join([piece.data async for piece in connectra.query.export_contacts(request)])
    rows = list(csv.DictReader(data.decode().splitlines()))
    assert len(rows) == ROWS
    assert len({row["uuid"] for row in rows}) == ROWS


async def test_jobs_and_health_answer_through_the_typed_door(imported: Any, connectra: Connectra) -> None:
    jobs = (await connectra.jobs.list_jobs(ListJobsRequest(limit=5))).jobs
    job = (await connectra.jobs.get_job(GetJobRequest(uuid=jobs[0].uuid))).job
    assert job is not None
    assert job.uuid == jobs[0].uuid
    imports = [job async for job in connectra.list_jobs(["completed"]) if job.result and job.result.rows == ROWS + 2]
    assert imports[0].result
    assert (imports[0].result.rejected, imports[0].result.rejected_s3_key[-13:]) == (2, ".rejected.csv")
    assert imports[0].done
    assert imports[0].done.bytes == imports[0].done.total_bytes
    assert (await connectra.query.check_health(CheckHealthRequest())).status == "ok"


async def test_refusals_come_with_code_reason_and_every_violation(connectra: Connectra) -> None:
    with pytest.raises(ApiError) as missing:
        await connectra.query.get_contact(GetContactRequest(uuid="00000000-0000-0000-0000-000000000000"))
    assert missing.value.code == "NOT_FOUND"
    query = vql({"where": {"keyword_match": {"must": {"cuntry": "x"}}}, "select_columns": ["nonsense"]})
    with pytest.raises(ApiError) as wrong:
        await connectra.query.list_contacts(ListContactsRequest(query=query))
    assert (wrong.value.code, wrong.value.reason) == ("INVALID_ARGUMENT", "VALIDATION_ERROR")
    assert len(wrong.value.fields) == 2
    assert "country" in str(wrong.value)


async def test_a_wrong_key_is_refused_at_the_typed_door(stack: Stack) -> None:
    async with Connectra(stack.gateway, "wrong") as stranger:
        with pytest.raises(ApiError) as refused:
            await stranger.query.count_contacts(CountContactsRequest())
    assert refused.value.code == "UNAUTHENTICATED"


def test_search_and_export_at_the_command_line(imported: Any, stack: Stack, tmp_path: Path) -> None:
    row = next(iter(sample_rows(ROWS, SEED)))
    found = stack.command("search", "contacts", f"{row['first_name']} {row['last_name']}", "-c", "email", "-n", "100")
    assert found.returncode == 0, found.stderr
    assert str(row["email"]) in found.stdout
    where = tmp_path / "where.json"
    where.write_text('{"keyword_match": {"must": {"country": "japan"}}}')
    out = tmp_path / "out.csv"
    done = stack.command("export", "companies", "-c", "uuid,name,country", "--where", f"@{where}", "-o", str(out))
    assert done.returncode == 0, done.stderr
    exported = list(csv.DictReader(out.open()))
    assert exported
    assert {row["country"] for row in exported} == {"japan"}


def test_a_refused_search_names_every_violation_on_a_line_of_its_own(stack: Stack) -> None:
    refused = stack.command("search", "contacts", "-c", "nonsense,first_nam")
    assert refused.returncode == ExitCode.REFUSED
    assert len(refused.stderr.splitlines()) == 2
    assert "did you mean 'first_name'" in refused.stderr


def test_run_on_a_running_stack_takes_the_tour_and_ends(stack: Stack) -> None:
    done = stack.command("run", "--rows", "200")
    assert done.returncode == 0, done.stdout + done.stderr
    for part in ("completed", stack.gateway, stack.api_key, "/companies/count", f"{stack.gateway}/docs"):
        assert part in done.stdout
    assert done.stdout.count("curl -s") == 3
