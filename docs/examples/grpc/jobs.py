"""Jobs: what is asked, how far it is, and what came of it."""

from pathlib import Path

from connectra_client import ExportQuery, ImportFile, SyncConnectra, vql

Path("guests.csv").write_text("First name,Mail,Table\nAlan,alan@bletchley.example,4\nJoan,joan@bletchley.example,5\n")

with SyncConnectra() as connectra:
    # Counts and reports, and stores nothing.
    guests = ImportFile(s3_key=connectra.upload("guests.csv"), columns={"Table": ""}, validate_only=True)
    job = connectra.wait_for_job(connectra.create_job(guests).uuid)
    print(job.status, job.import_file == guests, job.result and job.result.contacts)

    query = vql({"where": {"keyword_match": {"must": {"country": "germany"}}}, "select_columns": ["email"]})
    begun = connectra.create_job(ExportQuery(service="contact", vql=query, gzip=True), retry_count=1)
    for state in connectra.watch_job(begun.uuid):
        if state.done and state.done.total_rows:
            assert state.done.rows <= state.done.total_rows

    # The same once more, as yesterday's job says.
    if work := connectra.get_job(begun.uuid).export_query:
        again = connectra.wait_for_job(connectra.create_job(work).uuid)
        print(again.status, again.export_query == work)
        print([file.kind for file in connectra.job_files(again.uuid)])
