// Who is signed in. The key is in the memory of this page only: no storage, no cookie; a reload forgets it.

const FRESH_MILLISECONDS = 10_000;

let key = null;
let written = null;
let lists = {};

export const session = {
  get open() {
    return key !== null;
  },
  enter(given) {
    key = given;
  },
  leave() {
    key = written = null;
    lists = {};
  },
  /** The address of the list of a kind as it was left: the way back from a record keeps what was searched for. */
  list(kind) {
    return lists[kind] ?? `#/${kind}`;
  },
  listed(kind, address) {
    lists[kind] = address;
  },
  /** What every call sends: the key, and for a while after a write what it has to see. */
  headers() {
    const headers = { "x-api-key": key ?? "" };
    if (written && Date.now() - written.at < FRESH_MILLISECONDS) headers["x-consistency-token"] = written.token;
    return headers;
  },
  /** The token of a write stands for those before it too, since it was sent theirs. */
  wrote(token) {
    if (token) written = { token, at: Date.now() };
  },
};
