// How the system is, as far as the key may see it.

import { call } from "./api.js";
import { keys } from "./keys.js";
import { empty, fill, h, heading, number, show, table } from "./ui.js";

const NAMES = { postgres: "Database (PostgreSQL)", elasticsearch: "Search (Elasticsearch)", s3: "Files (S3)" };

export async function adminPage(main, { signal }) {
  const parts = h("section", { "aria-labelledby": "parts" });
  const index = h("section", { "aria-labelledby": "index" });
  const clients = h("section", { "aria-labelledby": "keys", hidden: true });
  fill(main, heading("System"), parts, index, clients);
  keys(clients, signal);
  show(parts, async () => {
    const { checks } = await call("GET", "/health/db", { signal }).catch((error) => {
      // It says so with a 503, and which.
      if (error.status === 503) return { checks: { postgres: { status: "down", latency_ms: 0 } } };
      throw error;
    });
    const rows = Object.entries(checks).map(([name, one]) => [NAMES[name] ?? name, one.status === "ok" ? "works" : "does not answer", `${one.latency_ms} ms`]);
    return [h("h2", { id: "parts" }, "Parts"), table("State of the parts", ["Part", "State", "Answered in"], rows)];
  });
  show(index, async () => {
    const { data } = await call("GET", "/common/index", { signal }).catch((error) => {
      // Whose key is not for this sees the rest of the page all the same.
      if (error.status === 403) return { data: null };
      throw error;
    });
    const title = h("h2", { id: "index" }, "Search index");
    if (!data) return [title, empty("Only for administrators.", h("p", {}, "Your key does not have the right admin."))];
    const rows = data.indices.map((one) => [
      one.entity === "company" ? "Companies" : "Contacts", one.index_name || "none", number(one.documents),
      one.rebuild ? `${one.rebuild.kind}: ${one.rebuild.phase}, ${number(one.rebuild.documents_done)} of ${number(one.rebuild.documents_total)}` : "nothing",
      one.check ? `${number(one.check.compared)} compared, ${number(one.check.differing)} repaired` : "not yet",
    ]);
    return [
      title,
      h("dl", {},
        h("dt", {}, "Changes that wait for the index"), h("dd", {}, `${number(data.pending)}${data.pending ? `, the oldest for ${Math.ceil(data.oldest_pending_seconds)} s` : ""}`),
        h("dt", {}, "Documents that it refused"), h("dd", {}, number(data.dead_letters)),
        h("dt", {}, "Indexers that run"), h("dd", {}, number(data.indexers))),
      table("Indices", ["Records", "Index", "Documents", "Under way", "Compared with the database"], rows),
    ];
  });
}
