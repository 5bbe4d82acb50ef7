// How the system is, as far as the key may see it.

import { call } from "./api.js";
import { empty, fill, h, heading, number, show, table } from "./ui.js";

const NAMES = { postgres: "Database (PostgreSQL)", elasticsearch: "Search (Elasticsearch)", s3: "Files (S3)" };

export async function adminPage(main, { signal }) {
  const parts = h("section", { "aria-labelledby": "parts" });
  const index = h("section", { "aria-labelledby": "index" });
  fill(main, heading("System"), parts, index);
  show(parts, async () => {
    const { checks } = await call("GET", "/health/db", { signal }).catch((error) => {
      // It says so with a 503, and which.
      if (error.status === 503) return { checks: { postgres: { status: "down", latency_ms: 0 } } };
      throw error;
    });
    const rows = Object.entries(checks).map(([name, one]) => [NAMES[name] ?? name, one.status === "ok" ? "works" : "does not answer", `${one.latency_ms} ms`]);
    return [h("h2", { id: "parts" }, "Parts"), table("State of the parts", ["Part", "State", "Answered in"], rows)];
  });
}
