// The dashboard in a real browser; the last line printed is what was seen, as JSON.
//
//   node dashboard.mjs <chromium> <base URL> load|access|lost
//
// It waits for what must come about and fails where it does not; Python judges the rest.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const [executablePath, base, scenario, token] = process.argv.slice(2);
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
];
const PATIENCE_MS = 90_000;

const seen = { requested: [], said: [], violations: {}, overflow: {} };
const browser = await chromium.launch({ executablePath, args: FLAGS });

/** Open the page; note whom it asks and what it complains about. */
async function open({ scheme = "light", width = 1280, height = 900, ...more } = {}) {
  const context = await browser.newContext({ colorScheme: scheme, viewport: { width, height }, ...more });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  page.on("request", (request) => seen.requested.push(request.url()));
  page.on("console", (message) => seen.said.push(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => seen.said.push(`error: ${error.message}`));
  await page.goto(base);
  return page;
}

const text = (page, id) => page.locator(`#${id}`).textContent();

const until = (page, condition, argument) =>
  page.waitForFunction(condition, argument, { timeout: PATIENCE_MS, polling: 100 });

const live = (page) => until(page, () => document.getElementById("link").dataset.state === "live");

async function judge(page, name) {
  await page.evaluate(AXE);
  const found = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
  seen.violations[name] = found.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html).join(" ")}`);
  seen.overflow[name] = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
}

const granted = (page) => page.evaluate(() => {
  const facts = [...document.querySelectorAll("#limit-facts dt")];
  const name = facts.find((fact) => fact.textContent === "Permits ever granted");
  return Number(name?.nextElementSibling.textContent.replaceAll(",", "") ?? "0");
});

const scenarios = {
  async load() {
    const page = await open();
    await live(page);
    await until(page, () => Number(document.getElementById("rate-used").textContent.replaceAll(",", "")) > 0);
    await until(page, () => document.querySelectorAll(".chart canvas").length === 2);
    await until(page, () => document.querySelector("#workers tr .state")?.dataset.state === "taking");
    await until(page, () => document.querySelector("#latency td").textContent !== "–");
    seen.granted = [await granted(page)];
    for (let looks = 0; looks < 2; looks += 1) {
      await until(page, (before) => {
        const facts = [...document.querySelectorAll("#limit-facts dd")];
        return Number(facts.at(-1).textContent.replaceAll(",", "")) > before;
      }, seen.granted.at(-1));
      seen.granted.push(await granted(page));
    }
    seen.verdict = await text(page, "verdict-text");
    seen.title = await page.title();
    seen.chart = await page.getAttribute("#rate-chart", "aria-label");
    await page.click("#rate-table summary");
    await page.waitForSelector("#rate-table table tbody tr");
    await judge(page, "light");

    const button = page.getByRole("button", { name: "Replay those that failed with timeout" });
    await button.focus();
    await page.keyboard.press("Enter");
    await page.waitForSelector("#confirm[open]");
    await judge(page, "dialog");
    await page.keyboard.press("Escape");
    await until(page, () => !document.getElementById("confirm").open);
    seen.left = await text(page, "replay-outcome");
    seen.focused = await page.evaluate(() => document.activeElement.textContent);
    await button.click();
    await page.click("#confirm-yes");
    await until(page, () => /^Replayed/.test(document.getElementById("replay-outcome").textContent));
    seen.replayed = await text(page, "replay-outcome");
    await button.waitFor({ state: "detached" });

    for (const [name, options] of [
      ["dark", { scheme: "dark" }],
      ["phone", { width: 390, height: 844 }],
      ["narrow, dark, no motion", { scheme: "dark", width: 320, height: 640, reducedMotion: "reduce" }],
    ]) {
      const other = await open(options);
      await live(other);
      await until(other, () => document.querySelectorAll(".chart canvas").length === 2);
      await judge(other, name);
    }
  },

  async access() {
    const page = await open();
    await page.waitForSelector("#sign-in:not([hidden])");
    await judge(page, "sign-in");
    seen.hidden = await page.isHidden("#pool");
    await page.fill("#token", "wrong-wrong-wrong-wrong");
    await page.keyboard.press("Enter");
    await until(page, () => /^Refused/.test(document.getElementById("sign-in-error").textContent));
    seen.refused = await text(page, "sign-in-error");
    seen.kept = await page.evaluate(() => sessionStorage.length);
    await page.fill("#token", token);
    await page.keyboard.press("Enter");
    await live(page);
    await page.waitForSelector("#pool:not([hidden])");
    await page.reload();
    await live(page);
    seen.signedIn = await page.isHidden("#sign-in");
    seen.empty = await page.locator("#no-workers").innerText();
  },

  async lost() {
    const page = await open();
    await live(page);
    console.log("live");
    await until(page, () => document.getElementById("link").dataset.state === "lost");
    seen.lost = await text(page, "link-text");
    seen.verdict = await text(page, "verdict-text");
    seen.stale = await page.getAttribute("#facts", "data-stale");
    await judge(page, "lost");
    console.log("lost");
    await live(page);
    await until(page, () => document.getElementById("facts").dataset.stale === "0");
  },
};

try {
  await scenarios[scenario]();
} finally {
  await browser.close();
}
console.log(JSON.stringify(seen));
