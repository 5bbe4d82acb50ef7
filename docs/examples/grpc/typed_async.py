"""The typed client, asyncio: the same, one after another where it must be, at once where it can."""

import asyncio
from pathlib import Path

from connectra_client import Connectra, Contact


async def main() -> None:
    Path("team.csv").write_text("first_name,last_name,email,city\nGrace,Hopper,grace@cobol.example,Arlington\n")
    async with Connectra() as connectra:
        job = await connectra.import_csv("team.csv")
        async for state in connectra.watch_job(job.uuid):
            print(state.status)

        grace = await connectra.upsert_contact(Contact(email="grace@cobol.example", title="Rear admiral"))
        towns = [{"where": {"keyword_match": {"must": {"city": town}}}} for town in ("arlington", "berlin")]
        print(await asyncio.gather(*(connectra.count_contacts(town) for town in towns)))
        print(grace.uuid in [one.uuid async for one in connectra.search_contacts(towns[0])])


asyncio.run(main())
