// The live stream, read by fetch: EventSource cannot send a token.

import { ask, complaint } from "./session.js";

const SILENT_MS = 8000;
const AGAIN_MS = [1000, 2000, 4000, 8000, 15000];

/** Read for ever: `on` has a function an event, and live, lost, refused. */
export async function follow(on) {
  for (let failures = 0; ; failures += 1) {
    const why = await once(on, () => { failures = 0; });
    if (why.refused) return on.refused(why);
    const wait = why.again ?? AGAIN_MS[Math.min(failures, AGAIN_MS.length - 1)];
    for (let left = Math.ceil(wait / 1000); left > 0; left -= 1) {
      on.lost(why.text, left);
      await new Promise((wake) => setTimeout(wake, 1000));
    }
  }
}

async function once(on, alive) {
  const ending = new AbortController();
  let watch = 0;
  const heard = () => {
    clearTimeout(watch);
    watch = setTimeout(() => ending.abort(), SILENT_MS);
  };
  try {
    heard();
    const response = await ask("/v1/live", { signal: ending.signal });
    if (response.status === 401 || response.status === 403) {
      return { refused: response.status, text: await complaint(response) };
    }
    if (!response.ok) {
      const wait = Number(response.headers.get("retry-after")) * 1000;
      return { text: await complaint(response), again: wait || undefined };
    }
    for await (const [event, data] of events(response.body)) {
      heard();
      alive();
      if (event in on) on[event](JSON.parse(data));
    }
    return { text: "the gateway ended the stream" };
  } catch {
    return { text: "the gateway does not answer" };
  } finally {
    clearTimeout(watch);
    ending.abort();
  }
}

async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (let text = ""; ;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    for (let end; (end = text.indexOf("\n\n")) >= 0; text = text.slice(end + 2)) {
      const lines = text.slice(0, end).split("\n");
      const field = (name) => lines.find((line) => line.startsWith(name))?.slice(name.length) ?? "";
      yield [field("event: "), field("data: ")];
    }
  }
}
