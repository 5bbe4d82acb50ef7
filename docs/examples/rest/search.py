"""Search to the end: each page says where the next one begins. Needs httpx."""

import os

import httpx

api = httpx.Client(base_url=os.environ["CONNECTRA_URL"], headers={"X-API-Key": os.environ["CONNECTRA_API_KEY"]})
query = {
    "where": {"keyword_match": {"must": {"country": "germany"}}},
    "select_columns": ["uuid", "last_name", "email"],
    "limit": 100,
}
while True:
    page = api.post("/contacts", json=query).raise_for_status().json()
    for contact in page["data"]:
        print(contact["uuid"], contact["last_name"], contact["email"])
    if "next_cursor" not in page:
        break
    query["cursor"] = page["next_cursor"]
