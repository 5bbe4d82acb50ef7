// A typed client: `npx openapi-typescript $CONNECTRA_URL/openapi.json -o connectra.ts`, and the package openapi-fetch.
import createClient from "openapi-fetch";
import type { paths } from "./connectra.js";

export const url = process.env.CONNECTRA_URL ?? "http://127.0.0.1:8000";
export const headers = { "X-API-Key": process.env.CONNECTRA_API_KEY ?? "" };
export const api = createClient<paths>({ baseUrl: url, headers });

/** What an answer holds, or its error. */
export function ok<T>(answer: { data?: T; error?: { message: string } }): T {
  if (answer.data === undefined) throw new Error(answer.error?.message ?? "no answer");
  return answer.data;
}

/** Follows a job to its end by server-sent events: one line for each. */
export async function followed(uuid: string): Promise<void> {
  const events = await fetch(`${url}/common/jobs/${uuid}/events`, { headers });
  if (!events.ok || !events.body) throw new Error(await events.text());
  for await (const text of events.body.pipeThrough(new TextDecoderStream())) {
    for (const [, name] of text.matchAll(/^event: (.+)$/gm)) console.log(name);
  }
}
