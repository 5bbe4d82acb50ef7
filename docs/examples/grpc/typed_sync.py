"""The typed client, blocking: from a file to a segment of it."""

from pathlib import Path

from connectra_client import ApiError, Contact, SyncConnectra

Path("people.csv").write_text("first_name,last_name,email,city\nAda,Byron,ada@analytical.example,London\n")

with SyncConnectra() as connectra:
    job = connectra.wait_for_job(connectra.import_csv("people.csv").uuid)
    print(job.status)

    ada = connectra.upsert_contact(Contact(email="ada@analytical.example", title="Countess"))
    print(ada.first_name, ada.title)
    london = {"where": {"keyword_match": {"must": {"city": "london"}}}}
    print(connectra.count_contacts(london) > 0, any(one.uuid == ada.uuid for one in connectra.search_contacts(london)))

    rows = connectra.export_csv("contacts", {**london, "select_columns": ["uuid", "email"]}, "london.csv")
    print(rows == len(Path("london.csv").read_text().splitlines()) - 1)

    try:
        connectra.count_contacts({"where": {"keyword_match": {"must": {"cuntry": "germany"}}}})
    except ApiError as error:
        print(error.code, error.reason, error.fields[0].field)
