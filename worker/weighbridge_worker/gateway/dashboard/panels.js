// What a snapshot says, written into the page.

import { byId, facts, keep, make, row, write, writeCommands } from "./elements.js";
import { bytes, counted, latency, meaning, number, percent, span } from "./words.js";

let announced = "";

export function showVerdict({ verdict }) {
  byId("verdict").dataset.level = verdict.level;
  writeCommands("verdict-text", verdict.text);
  byId("further").hidden = !verdict.further.length;
  keep(byId("further"), verdict.further, (one) => one.code, () => make("li"), (node, one) => {
    node.dataset.level = one.level;
    write(node, one.text);
  });
  const sign = { well: "✓", attention: "!", held: "‖", trouble: "✕" }[verdict.level];
  document.title = `${sign} ${verdict.text.split(/[:,.;]/)[0]} – Weighbridge`;
  // Numbers change every second; only another verdict is worth interrupting somebody for.
  if (verdict.code !== announced) write("announcer", verdict.text.replaceAll("`", ""));
  announced = verdict.code;
}

/** What the page last heard may not hold any more, and it must not look as if it did. */
export function showSilence(since) {
  showVerdict({ verdict: { code: "silence", level: "attention", further: [],
    text: since ? `No news from the gateway since ${since}. What stands below is as old.` : "The gateway does not answer." } });
}

export function showPool(pool, replay) {
  rate(pool);
  waiting(pool);
  spared(pool.work.cache);
  queue(pool.queue);
  times(pool.work);
  limit(pool);
  workers(pool.workers);
  dead(pool.dead, replay);
}

function rate({ rate: { used, limit: full, permitted } }) {
  const share = full ? Math.min(1, (used ?? 0) / full) : 0;
  write("rate-used", used === null ? "–" : number(used));
  write("rate-limit", full ? `of ${number(full)} a minute` : "a minute, no limit set yet");
  const meter = byId("rate-meter");
  meter.setAttribute("aria-valuenow", String(Math.round(share * 100)));
  meter.firstElementChild.style.width = `${share * 100}%`;
  const lower = permitted < full * 0.995;
  write("rate-note", !full ? "" : lower ? `${percent(share)}; ${number(permitted)} permitted now` : `${percent(share)} of the limit`);
}

function waiting({ queue: { lanes, later, inbox }, workers: alive }) {
  const all = lanes[0].ready + lanes[1].ready + later + inbox;
  write("waiting", number(all));
  write("waiting-unit", all === 1 ? "job" : "jobs");
  const eta = lanes[1].eta_s;
  write("waiting-note", !all ? "Nothing waits" : eta !== null ? `About ${span(eta)} of work` : alive.length ? "No end in sight while the fleet is held" : "Nobody works on them");
}

function spared(cache) {
  const all = cache.hit + cache.joined + cache.miss;
  write("spared", all ? percent((cache.hit + cache.joined) / all) : "–");
  write("spared-unit", all ? `of ${counted(all, "request", "requests")}` : "");
  for (const part of byId("spared-split").children) {
    part.style.width = all ? `${(cache[part.dataset.use] / all) * 100}%` : "0";
  }
  write("spared-note", all
    ? `${counted(cache.hit, "hit", "hits")}, ${number(cache.joined)} joined, ${counted(cache.miss, "miss", "misses")}`
    : "No request came through gateway or inbox");
}

function queue({ lanes, in_flight: flying, later, inbox, bytes: size }) {
  keep(byId("lanes"), lanes, (lane) => lane.lane, () => row(["th"], ["td", "n"], ["td", "n"]), (node, lane) => {
    write(node.children[0], lane.lane);
    write(node.children[1], number(lane.ready));
    write(node.children[2], !lane.ready ? "–" : lane.eta_s === null ? "no end in sight" : span(lane.eta_s));
  });
  facts("queue-facts", [
    ["With a worker now", number(flying)], ["Waiting for a retry", number(later)],
    ["In the inbox", number(inbox)], ["Payloads", bytes(size)],
  ]);
}

const TIMES = [["wait", "Wait", "from submit to the call"], ["call", "Call", "one attempt at the API"], ["total", "Total", "from submit to result"]];

function times(work) {
  keep(byId("latency"), TIMES, ([name]) => name, ([, title, what]) => {
    const made = row(["th"], ["td", "n"], ["td", "n"]);
    made.firstElementChild.append(title, make("span", { class: "sub" }, what));
    return made;
  }, (node, [name]) => {
    write(node.children[1], latency(work[name].p50_s));
    write(node.children[2], latency(work[name].p99_s));
  });
  const { count } = work.total;
  write("latency-note", count ? `Of ${counted(count, "job", "jobs")} that workers finished.` : "No job was finished in the last minute.");
}

function limit({ rate: { words, limit: full, share, granted, paused, hold, blocked_s: blocked }, refusals }) {
  writeCommands("limit-words", `${words.charAt(0).toUpperCase()}${words.slice(1)}.`);
  const stands = !full ? "no limit yet" : paused ? "paused" : hold ? "on hold" : blocked ? `pauses ${span(blocked)} more` : "open";
  facts("limit-facts", [
    ["Bucket", stands], ["Share left by penalties", percent(share)],
    ["Refused with 429, ten minutes", number(refusals.throttled)],
    ["Fleet-wide pauses, ten minutes", number(refusals.penalties)],
    ["Slots missed, ten minutes", number(refusals.slots_missed)],
    ["Permits ever granted", number(granted)],
  ]);
}

function workers(alive) {
  byId("workers-table").hidden = !alive.length;
  byId("no-workers").hidden = alive.length > 0;
  write("workers-count", alive.length ? `${number(alive.length)} alive` : "");
  const sorted = [...alive].sort((one, other) => (one.worker < other.worker ? -1 : 1));
  keep(byId("workers"), sorted, (one) => one.worker, () => {
    const made = row(["th", "id"], ["td"], ["td"], ["td", "n"], ["td", "n"]);
    made.children[1].append(make("span", { class: "state" }));
    return made;
  }, (node, one) => {
    const state = node.children[1].firstElementChild;
    state.dataset.state = one.state;
    write(node.children[0], one.worker);
    write(state, one.words);
    write(node.children[2], one.version);
    write(node.children[3], number(one.concurrency));
    write(node.children[4], one.seen_s < 1.5 ? "just now" : `${number(one.seen_s)} s ago`);
  });
}

function dead({ total, codes, recent }, replay) {
  const fresh = Object.values(recent).reduce((sum, value) => sum + value, 0);
  write("dead-total", number(total));
  write("dead-note", fresh ? `${number(fresh)} in the last five minutes` : total ? "None in the last five minutes" : "No job failed for good");
  byId("dead-note").classList.toggle("warn", fresh >= 10);
  byId("dead-table").hidden = !total;
  byId("no-dead").hidden = total > 0;
  keep(byId("dead"), Object.entries(codes), ([code]) => code, ([code]) => {
    const made = row(["th"], ["td", "n"], ["td", "n"]);
    const button = make("button", { type: "button" }, "Replay", make("span", { class: "hidden" }, ` those that failed with ${code}`));
    made.children[0].append(make("span", { class: "code" }, code), make("span", { class: "sub" }, meaning(code)));
    made.children[1].append(make("span"), make("span", { class: "sub" }));
    made.children[2].append(button);
    button.addEventListener("click", () => replay(code, button));
    return made;
  }, (node, [code, many]) => {
    write(node.children[1].children[0], number(many));
    write(node.children[1].children[1], recent[code] ? `${number(recent[code])} new` : "");
  });
}
