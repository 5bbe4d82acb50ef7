// The calls, by the documented REST paths and no others (docs/rest.md).

import { session } from "./session.js";
import { announce } from "./ui.js";

const TRIES = 4;

/** An answer that is no success; `status` is 0 where none came. */
export class Refusal extends Error {
  constructor(status, body = {}, again = 0) {
    super(body.message ?? "no answer");
    Object.assign(this, { status, code: body.error_code, details: body.details ?? {}, again });
  }

  /** For people: what it is and what to do. */
  inWords() {
    const fields = (this.details.fields ?? []).map((one) => `${one.field}: ${one.message}`);
    const [title, advice] = this.#said(fields.length > 0);
    return { title, advice, fields };
  }

  #said(listed) {
    switch (this.status) {
      case 0:
        return ["No connection to Connectra", "Nothing is lost. Check the network and try again."];
      case 401:
        return ["This key is not known here", "It may have been mistyped, revoked, or have expired. Ask who gave it to you."];
      case 403:
        return ["Your key may not do this", this.message === "this key may not do this"
          ? "Ask an administrator for a key with the right it needs: read, write, import, export or admin." : this.message];
      case 404:
        return ["It is not here", "It does not exist, was deleted, or belongs to somebody else."];
      case 409:
        return ["This does not go together with what is stored", this.message];
      case 412:
        return ["Somebody else changed this in the meantime", this.message];
      case 413:
        return ["That is too much at once", this.message];
      case 429:
        return ["Too many requests", `The limit of your key is used up. Try again in ${this.again || 1} s, or ask for a higher one.`];
      case 400:
        return ["This cannot be done as it was asked", listed ? "" : this.message];
      case 502: case 503: case 504:
        return ["Connectra is busy or a part of it is down", "Try again in a moment."];
      default:
        return ["Connectra could not do this", this.message];
    }
  }
}

/**
 * The JSON of an answer, and its etag. Reads that are refused for their number are sent again when the answer says so. A key that is not
 * valid any more ends the session, but when it is only tried (`entering`). What is sent twice with the same `once` is done once.
 *
 * @throws {Refusal}
 */
export async function call(method, path, { body, ifMatch, once, entering, signal, reads = method === "GET" } = {}) {
  const headers = session.headers();
  if (body !== undefined) headers["content-type"] = "application/json";
  if (ifMatch) headers["if-match"] = ifMatch;
  if (once) headers["idempotency-key"] = once;
  for (let tried = 1; ; tried++) {
    let answer, read;
    try {
      answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), signal });
      read = await answer.json().catch(() => ({}));
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Refusal(0);
    }
    session.wrote(answer.headers.get("x-consistency-token"));
    if (answer.ok) return { ...read, etag: answer.headers.get("etag") };
    const again = Number(answer.headers.get("retry-after")) || 0;
    if (answer.status === 401 && session.open && !entering) dispatchEvent(new CustomEvent("signed-out"));
    if (answer.status !== 429 || !reads || tried === TRIES) throw new Refusal(answer.status, read, again);
    announce("Too many requests; waiting a moment.");
    await pause(1000 * Math.max(again, 1) * tried, signal);
  }
}

/** A POST that only reads. */
export function ask(path, body, signal) {
  return call("POST", path, { body, signal, reads: true });
}

/** A job whenever it changes, by server-sent events, until it has ended. (The browser's own EventSource sends no key.) */
export async function* changes(uuid, signal) {
  const answer = await fetch(`/common/jobs/${encodeURIComponent(uuid)}/events`, { headers: session.headers(), signal });
  if (!answer.ok) throw new Refusal(answer.status, await answer.json().catch(() => ({})));
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let came = "";
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    const events = (came + read.value).split("\n\n");
    came = events.pop();
    for (const event of events) {
      const [, data] = event.match(/^event: job\ndata: (.*)$/) ?? [];
      if (data) yield JSON.parse(data);
    }
  }
}

/** Waits, unless the page has been left. */
export function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    }, { once: true });
  });
}

/** Sends a file, or a part of one, to a URL of the store, which is another host; `arrived` gets the bytes that are there. */
export function put(url, content, arrived, signal) {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const request = new XMLHttpRequest();
    request.open("PUT", url);
    request.upload.onprogress = (event) => event.lengthComputable && arrived(event.loaded);
    request.onload = () => (request.status < 300 ? resolve() : reject(new UploadRefused(url, request.status)));
    request.onerror = () => reject(new UploadRefused(url, 0));
    request.onabort = () => reject(signal.reason);
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(content);
  });
}

class UploadRefused extends Error {
  constructor(url, status) {
    super("upload");
    Object.assign(this, { host: new URL(url).host, status });
  }

  inWords() {
    return {
      title: "The file did not arrive in the store",
      advice: this.status
        ? `${this.host} answered ${this.status}. Try again.`
        : `${this.host} could not be reached from this page. If this happens with every file, an administrator has to allow it: `
          + "GATEWAY_UPLOAD_ORIGINS of the gateway has to name that host, and the bucket has to allow PUT from this page (CORS).",
    };
  }
}
