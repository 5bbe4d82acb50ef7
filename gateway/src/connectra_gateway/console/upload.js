// A file to the store: small ones as a whole, others in parts, which may break off and go on.

import { ask, call, pause, put } from "./api.js";

const WHOLE_BYTES = 64 * 2 ** 20;
const AT_ONCE = 4;
const TRIES = 4;
const URLS_AT_ONCE = 50;

// Uploads in parts that have not been completed, by their file: whoever chooses it again, while this page is open, goes on with it.
const begun = new Map();

/**
 * Sends a file, and returns its key for an import. `progress` gets the part that has arrived, 0 to 1. A file in parts that broke off goes on
 * where it was.
 *
 * @throws {Refusal|UploadRefused}
 */
export async function upload(file, progress, signal) {
  if (file.size <= WHOLE_BYTES) {
    const place = await call("GET", `/common/upload-url?${new URLSearchParams({ filename: file.name })}`, { signal });
    await put(place.upload_url, file, (bytes) => progress(bytes / (file.size || 1)), signal);
    return place.s3_key;
  }
  const name = `${file.name} ${file.size} ${file.lastModified}`;
  const path = begun.get(name) ?? `/common/uploads/${(await call("POST", "/common/uploads", { body: { filename: file.name, size_bytes: file.size }, signal })).upload_id}`;
  begun.set(name, path);
  try {
    const key = await parts(file, path, progress, signal);
    begun.delete(name);
    return key;
  } catch (error) {
    if (error.status === 404) begun.delete(name); // it has expired: the next time begins anew
    throw error;
  }
}

async function parts(file, path, progress, signal) {
  const there = await call("GET", `${path}/parts`, { signal });
  if (there.completed) return there.s3_key;
  const { part_size: size, part_count: count } = there;
  const stored = new Map(there.parts.map((one) => [one.part_number, one.size_bytes]));
  const open = Array.from({ length: count }, (_, i) => i + 1).filter((part) => !stored.has(part));
  const urls = new Map();
  // One that fails for good stops the others.
  const stopping = new AbortController();
  const either = AbortSignal.any([signal, stopping.signal]);
  const tell = () => progress([...stored.values()].reduce((sum, bytes) => sum + bytes, 0) / file.size);
  tell();
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  } catch (error) {
    stopping.abort();
    throw error;
  }
  return (await call("POST", `${path}/complete`, { reads: true, signal })).s3_key;

  async function worker() {
    for (let part = open.shift(); part; part = open.shift()) await one(part);
  }

  async function one(part) {
    const content = file.slice((part - 1) * size, part * size);
    const arrived = (bytes) => {
      stored.set(part, bytes);
      tell();
    };
    for (let tried = 1; ; tried++) {
      try {
        await put(await urlOf(part), content, arrived, either);
        return arrived(content.size);
      } catch (error) {
        arrived(0);
        urls.delete(part); // it may have expired
        if (either.aborted || tried === TRIES) throw error;
        await pause(500 * 2 ** tried, either);
      }
    }
  }

  /** Many at once: each call counts. */
  async function urlOf(part) {
    if (!urls.has(part)) {
      const numbers = [part, ...open.filter((other) => !urls.has(other)).slice(0, URLS_AT_ONCE - 1)];
      const answer = ask(`${path}/parts`, { part_numbers: numbers }, either);
      for (const number of numbers) {
        const url = answer.then(({ parts: made }) => made.find((one) => one.part_number === number).upload_url);
        url.catch(() => {}); // whose turn it is meets it
        urls.set(number, url);
      }
    }
    return urls.get(part);
  }
}
