// Export a segment: a job writes the file, which is then fetched.
import { writeFile } from "node:fs/promises";
import { api, followed, ok } from "./api.js";

const vql = {
  where: { keyword_match: { must: { country: "germany" } } },
  select_columns: ["first_name", "last_name", "email", "company.name"],
};
const body = { job_type: "export_csv_file", job_data: { service: "contact", vql } } as const;
const { uuid } = ok(await api.POST("/common/jobs/create", { body })).data;
await followed(uuid);

for (const found of ok(await api.GET("/common/jobs/{uuid}/files", { params: { path: { uuid } } })).data) {
  if (found.kind === "result") await writeFile("segment.csv", await (await fetch(found.download_url)).text());
}
