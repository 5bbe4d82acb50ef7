"""Export a segment: a job writes the file, which is then fetched. Needs httpx."""

import os
from pathlib import Path

import httpx

api = httpx.Client(base_url=os.environ["CONNECTRA_URL"], headers={"X-API-Key": os.environ["CONNECTRA_API_KEY"]})
vql = {
    "where": {"keyword_match": {"must": {"country": "germany"}}},
    "select_columns": ["first_name", "last_name", "email", "company.name"],
}
new = {"job_type": "export_csv_file", "job_data": {"service": "contact", "vql": vql}}
job = api.post("/common/jobs/create", json=new).raise_for_status().json()["data"]
with api.stream("GET", f"/common/jobs/{job['uuid']}/events", timeout=60) as events:
    for line in events.raise_for_status().iter_lines():
        if line.startswith("event: "):
            print(line.removeprefix("event: "))

for found in api.get(f"/common/jobs/{job['uuid']}/files").raise_for_status().json()["data"]:
    if found["kind"] == "result":
        with httpx.stream("GET", found["download_url"]) as content, Path("segment.csv").open("wb") as out:
            out.writelines(content.raise_for_status().iter_bytes())
