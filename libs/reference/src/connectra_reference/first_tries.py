"""What somebody sends who tries `/docs` without changing anything: requests that find something in the sample of `make run`.

The examples of requests in the OpenAPI document are these, and otherwise those of the table of calls, whose records exist only in a test.
"""

from typing import Any

from connectra_common.records.fields import COMPANY, CONTACT

from connectra_reference.shapes import Json

# The first row of the sample, and its company.
SAMPLE = {CONTACT: "a7f9027b-7c61-5088-9063-df4b996bc184", COMPANY: "5ae961e2-3b62-50e1-8ba6-b3584c54972f"}

_MARKETING = {
    "text_matches": {"must": [{"filter_key": "title", "text_value": "marketing", "search_type": "shuffle"}]},
    "keyword_match": {"must": {"seniority": ["director", "vp"]}},
}
_LARGE = {
    "keyword_match": {"must": {"country": "united states"}},
    "range_query": {"must": {"employees_count": {"gte": 1000}}},
}
_CONTACTS = {"where": _MARKETING, "select_columns": ["uuid", "first_name", "last_name", "title", "email"], "limit": 5}
_COMPANIES = {
    "where": _LARGE,
    "order_by": [{"order_by": "employees_count", "order_direction": "desc"}],
    "select_columns": ["uuid", "name", "employees_count", "city"],
    "limit": 5,
}
_VALUES = {"filter_key": "country", "search_text": "unit", "limit": 5}
_JUDGED = {"filters": {"field": "country", "operator": "eq", "value": "united states"}}
_EXPORT = {"service": "contact", "vql": {"where": _MARKETING, "select_columns": ["first_name", "last_name", "email"]}}

# By method of the contracts.
BODIES: dict[str, Json] = {
    "ListContacts": _CONTACTS,
    "ListCompanies": _COMPANIES,
    "CountContacts": {"where": _MARKETING},
    "CountCompanies": {"where": _LARGE},
    "AggregateContacts": {"where": _MARKETING, "group_by": ["country"]},
    "AggregateCompanies": {"where": _LARGE, "group_by": ["industries"]},
    "SuggestContacts": {"text": "mark", "fields": ["title"], "limit": 5},
    "SuggestCompanies": {"text": "emb", "fields": ["name"], "limit": 5},
    "ExplainContact": _JUDGED,
    "ExplainCompany": _JUDGED,
    "ListContactFilterValues": _VALUES,
    "ListCompanyFilterValues": _VALUES,
    "ListFilterValues": _VALUES,
    "ListJobs": {"status": ["completed"], "limit": 5},
    "CreateJob": {"job_type": "export_csv_file", "job_data": _EXPORT},
}


def uuid_of(template: str) -> str | None:
    """The uuid that a path is tried with; None where no record of the sample is named."""
    return next((uuid for entity, uuid in SAMPLE.items() if template.startswith(f"/{entity.table}/")), None)


def body_of(method: str, otherwise: Any) -> Any:
    """The body that a method is tried with."""
    return BODIES.get(method, otherwise)
