"""Import a file: send it, make a job, follow it to its end, and look at what it says. Needs httpx."""

import os
import sys
from pathlib import Path

import httpx

file = Path(sys.argv[1] if len(sys.argv) > 1 else "people.csv")
api = httpx.Client(base_url=os.environ["CONNECTRA_URL"], headers={"X-API-Key": os.environ["CONNECTRA_API_KEY"]})

upload = api.get("/common/upload-url", params={"filename": file.name}).raise_for_status().json()
httpx.put(upload["upload_url"], content=file.read_bytes()).raise_for_status()
new = {"job_type": "insert_csv_file", "job_data": {"s3_key": upload["s3_key"]}, "retry_count": 3}
job = api.post("/common/jobs/create", json=new).raise_for_status().json()["data"]

# Server-sent events: the job whenever it has changed. The answer ends with the job.
with api.stream("GET", f"/common/jobs/{job['uuid']}/events", timeout=60) as events:
    for line in events.raise_for_status().iter_lines():
        if line.startswith("event: "):
            print(line.removeprefix("event: "))

job = api.get(f"/common/jobs/{job['uuid']}").raise_for_status().json()["data"]
print(job["status"], job["job_response"]["messages"])
for found in api.get(f"/common/jobs/{job['uuid']}/files").raise_for_status().json()["data"]:
    if found["kind"] == "rejected":  # what was not stored, as a file like the one that was sent
        Path("rejected.csv").write_bytes(httpx.get(found["download_url"]).raise_for_status().content)
