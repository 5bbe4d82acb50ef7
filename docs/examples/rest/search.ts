// Search to the end: each page says where the next one begins.
import { api, ok } from "./api.js";
import type { components } from "./connectra.js";

let cursor: components["schemas"]["ContactList"]["next_cursor"];
do {
  const page = ok(
    await api.POST("/contacts", {
      body: {
        where: { keyword_match: { must: { country: "germany" } } },
        select_columns: ["uuid", "last_name", "email"],
        limit: 100,
        cursor,
      },
    }),
  );
  for (const contact of page.data) console.log(contact.uuid, contact.last_name, contact.email);
  cursor = page.next_cursor;
} while (cursor);
