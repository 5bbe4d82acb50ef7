// Import a file: send it, make a job, follow it to its end, and look at what it says.
import { readFile, writeFile } from "node:fs/promises";
import { api, followed, ok } from "./api.js";

const file = process.argv[2] ?? "people.csv";
const upload = ok(await api.GET("/common/upload-url", { params: { query: { filename: "people.csv" } } }));
const sent = await fetch(upload.upload_url, { method: "PUT", body: await readFile(file) });
if (!sent.ok) throw new Error(await sent.text());

const body = { job_type: "insert_csv_file", job_data: { s3_key: upload.s3_key }, retry_count: 3 } as const;
const { uuid } = ok(await api.POST("/common/jobs/create", { body })).data;
await followed(uuid);

const params = { path: { uuid } };
const job = ok(await api.GET("/common/jobs/{uuid}", { params })).data;
console.log(job.status, job.job_response.messages);
for (const found of ok(await api.GET("/common/jobs/{uuid}/files", { params })).data) {
  // What was not stored, as a file like the one that was sent.
  if (found.kind === "rejected") await writeFile("rejected.csv", await (await fetch(found.download_url)).text());
}
