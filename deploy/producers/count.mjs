// Counts the payloads of a JSONL file through Weighbridge's inbox, with npm `redis` and nothing else.
//
//     npm install redis
//     REDIS_URL=redis://127.0.0.1:6379 node count.mjs payloads.jsonl > results.jsonl
//
// Prints a JSON line a payload as the replies come, with its line number. Exits with 3 if any of
// them is no count. The contract is queue/PROTOCOL.md.
import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient, ErrorReply } from 'redis';

const URL = process.env.REDIS_URL ?? 'redis://127.0.0.1:6379';
const PREFIX = `{${process.env.WEIGHBRIDGE_NAMESPACE ?? 'weighbridge'}}:1:`;
const WINDOW = 200; // requests on their way; the inbox has no bound of its own
const SILENCE_S = 5; // the longest wait on the bells before a look at the replies themselves
const ASK_AGAIN_MS = 1000 * Number(process.env.ASK_AGAIN_S ?? 60); // a duplicate joins its job, at no cost
const GIVE_UP_MS = 1000 * Number(process.env.GIVE_UP_S ?? 3600);
const TRIES = 3; // of a payload whose failure may pass

// Whoever sends the same payload again under these codes gets the same answer again.
const FINAL = new Set(['bad_request', 'invalid_request', 'malformed_payload', 'not_countable',
  'payload_too_large', 'poison']);
const PASSING = /^(BUSY|CLUSTERDOWN|LOADING|MASTERDOWN|OOM|READONLY|TRYAGAIN)\b/;

function open() {
  const options = URL.startsWith('unix://') ? { socket: { path: URL.slice(7) } } : { url: URL };
  const client = createClient(options);
  client.on('error', (error) => console.error(`redis: ${error.code ?? error.message}`));
  return client.connect();
}

// Repeats a command until the server has answered it: writing a request twice does no harm.
async function surely(command) {
  for (;;) {
    try {
      return await command();
    } catch (error) {
      if (error instanceof ErrorReply && !PASSING.test(error.message)) throw error;
      await sleep(500);
    }
  }
}

const redis = await open();
const blocking = await open(); // a connection that waits can do nothing else
const waiting = new Map(); // reply id -> { line, payload, tries, askedAt, begunAt }
let failures = 0;

async function ask(request) {
  const id = randomUUID(); // fresh: a used one would find the old reply
  waiting.set(id, { ...request, askedAt: Date.now() });
  const fields = { payload: request.payload, id, bell: '1' };
  await surely(() => redis.xAdd(`${PREFIX}inbox`, '*', fields));
}

function report(line, reply) {
  if (reply.status !== 'counted') failures += 1;
  console.log(JSON.stringify({ line, ...reply }));
}

async function deliver(text) {
  const reply = JSON.parse(text);
  const request = waiting.get(reply.id);
  if (!request) return; // by the bell and by a look
  waiting.delete(reply.id);
  const passing = reply.status === 'failed' && !FINAL.has(reply.code);
  if (passing && request.tries < TRIES) await ask({ ...request, tries: request.tries + 1 });
  else report(request.line, reply);
}

// Nothing rang: a bell may be lost with the connection that carried it, its reply stays for an hour.
async function look() {
  const ids = [...waiting.keys()];
  const replies = await surely(() => redis.mGet(ids.map((id) => `${PREFIX}reply:${id}`)));
  for (const text of replies) if (text) await deliver(text);
  for (const [id, request] of [...waiting]) {
    const gaveUp = Date.now() - request.begunAt >= GIVE_UP_MS;
    if (!gaveUp && Date.now() - request.askedAt < ASK_AGAIN_MS) continue;
    waiting.delete(id);
    if (!gaveUp) await ask(request);
    else report(request.line, { status: 'failed', code: 'no_reply', message: 'nobody answered' });
  }
}

async function wait() {
  const bells = [...waiting.keys()].map((id) => `${PREFIX}bell:${id}`);
  const rung = await blocking.blPop(bells, SILENCE_S).catch((error) => {
    if (error instanceof ErrorReply && !PASSING.test(error.message)) throw error;
    return sleep(500, null);
  });
  if (rung) await deliver(rung.element);
  else await look();
}

const path = process.argv[2] ?? '-';
const input = path === '-' ? process.stdin : createReadStream(path);
let line = 0;
for await (const payload of createInterface({ input, crlfDelay: Infinity })) {
  line += 1;
  if (!payload.trim()) continue;
  while (waiting.size >= WINDOW) await wait();
  await ask({ line, payload, tries: 1, begunAt: Date.now() });
}
while (waiting.size) await wait();
await Promise.all([redis.close(), blocking.close()]);
process.exitCode = failures ? 3 : 0;
