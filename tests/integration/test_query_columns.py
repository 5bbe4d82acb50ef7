"""The columns of records, by both doors."""

import httpx
import pytest
from connectra.query.v1 import query_service_pb2 as pb
from connectra.query.v1.query_service_pb2_grpc import QueryServiceStub
from connectra_common.records.fields import COMPANY, CONTACT
from google.protobuf.json_format import MessageToDict

from tests.support.words import word


async def test_both_doors_list_the_same_columns(api: httpx.AsyncClient, query: QueryServiceStub) -> None:
    for path, service, names in (
        ("/companies/columns", "companies", COMPANY.columns),
        ("/contacts/columns", "contact", (*CONTACT.columns, *(f"company.{name}" for name in COMPANY.columns))),
    ):
        rest = (await api.get(path)).json()["data"]
        typed = (await query.ListColumns(pb.ListColumnsRequest(service=service))).columns
        assert [
            MessageToDict(column, always_print_fields_with_no_presence=True, preserving_proto_field_name=True)
            for column in typed
        ] == rest
        assert [column["name"] for column in rest] == list(names)


async def test_what_a_column_offers_is_taken(api: httpx.AsyncClient) -> None:
    columns = {column["name"]: column for column in (await api.get("/contacts/columns")).json()["data"]}
    assert columns["company.employees_count"] == {
        "name": "company.employees_count",
        "type": "integer",
        "display_name": "Company Employees Count",
        "read_only": True,
        "operators": ["eq", "ne", "in", "nin", "gt", "gte", "lt", "lte", "exists", "nexists"],
        "order_by": True,
        "group_by": True,
        "csv_columns": ["employees"],
    }
    assert columns["deleted_at"]["operators"] == []
    ordered = next(name for name, one in reversed(columns.items()) if one["order_by"])
    body = {"order_by": [{"order_by": ordered}], "select_columns": list(columns), "limit": 1}
    assert (await api.post("/contacts", json=body)).status_code == 200
    grouped = {"group_by": [name.replace(".", "_") for name, one in columns.items() if one["group_by"]][:1]}
    assert (await api.post("/contacts/aggregate", json=grouped)).status_code == 200


async def test_a_contact_with_another_name_of_its_company_is_not_the_one_that_the_caller_has(
    api: httpx.AsyncClient,
) -> None:
    name = word()
    company = (await api.post("/companies/create", json={"name": name})).json()["data"]["uuid"]
    made = await api.post("/contacts/upsert", json={"email": f"{name}@x.com", "company_id": company})
    path = f"/contacts/{made.json()['data']['uuid']}"
    known = {"if-none-match": (await api.get(path)).headers["etag"]}
    await api.put(f"/companies/{company}", json={"name": f"{name} new"})
    read = await api.get(path, params={"select_columns": "company.name"}, headers=known)
    assert (read.status_code, read.json()["data"]) == (200, {"company.name": f"{name} new"})
    assert (await api.get(path, params={"select_columns": "company_id"}, headers=known)).status_code == 304


@pytest.mark.parametrize("service", ["people", "Contact"])
async def test_columns_of_nothing_known_are_refused(api: httpx.AsyncClient, service: str) -> None:
    answer = await api.get(f"/common/{service}/columns")
    assert answer.status_code == 400
    assert answer.json()["details"]["reason"] == "UNSUPPORTED_SERVICE"
