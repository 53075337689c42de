// Two charts of the last ten minutes, each with a key, a sentence and a table of the same.

/* global uPlot */
import { byId, keep, make, write } from "./elements.js";
import { number } from "./words.js";

const SHOWN_S = 600;

/** Minutes that the axis shows, and the step of its marks: a young history fills it too. */
const SPANS = [[2, 0.5], [5, 1], [10, 2]];

const CHARTS = [
  {
    id: "rate",
    what: "Calls a minute",
    marked: 3,
    held: "permitted",
    series: [
      { name: "used", column: "used", colour: "--series-a", fill: true, width: 2 },
      { name: "permitted", column: "permitted", colour: "--permitted", dash: [2, 4], width: 1.5, step: true },
      { name: "limit", column: "limit", colour: "--limit", dash: [7, 4], width: 1.5, step: true },
    ],
  },
  {
    id: "depth",
    what: "Jobs waiting",
    series: [
      { name: "interactive", column: "interactive", colour: "--series-b", fill: true, width: 2 },
      { name: "batch", column: "batch", colour: "--series-a", dash: [7, 4], width: 2 },
    ],
  },
];

const DARK = matchMedia("(prefers-color-scheme: dark)");

export class Charts {
  constructor() {
    this.columns = null;
    this.drawn = CHARTS.map((chart) => new Chart(chart));
    DARK.addEventListener("change", () => this.drawn.forEach((chart) => chart.rebuild(this.columns)));
  }

  /** Begin with the minutes that the gateway remembers. */
  begin(columns) {
    this.columns = Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, [...values]]));
    this.show();
  }

  /** Go on with a snapshot. */
  add(snapshot) {
    const { rate, queue } = snapshot.pool;
    const at = this.columns.at_s;
    const limit = rate.limit || null;
    if (at.length && at[at.length - 1] >= snapshot.at_s) return;
    const [interactive, batch] = queue.lanes.map((lane) => lane.ready);
    const point = { at_s: snapshot.at_s, used: rate.used, permitted: limit && rate.permitted, limit, interactive, batch };
    for (const [name, values] of Object.entries(this.columns)) values.push(point[name]);
    while (at[at.length - 1] - at[0] > SHOWN_S) for (const values of Object.values(this.columns)) values.shift();
    this.show();
  }

  show() {
    for (const chart of this.drawn) chart.show(this.columns);
  }
}

class Chart {
  constructor(chart) {
    this.chart = chart;
    this.place = byId(`${chart.id}-chart`);
    this.table = byId(`${chart.id}-table`);
    this.plot = null;
    this.tabled = -1;
    this.at = null;
    this.held = null;
    this.data = [[]];
    this.place.append(make("p", { class: "waiting" }, "The first look is under way …"));
    this.table.addEventListener("toggle", () => { this.tabled = -1; });
    new ResizeObserver(() => this.plot?.setSize(this.size())).observe(this.place);
  }

  size() {
    return { width: this.place.clientWidth, height: this.place.clientHeight };
  }

  rebuild(columns) {
    this.plot?.destroy();
    this.plot = null;
    if (columns) this.show(columns);
  }

  show(columns) {
    if (!columns.at_s.length) return;
    const data = [columns.at_s, ...this.chart.series.map((one) => columns[one.column])];
    this.held = this.chart.held && columns[this.chart.held];
    // What is shaded needs no line along the bottom.
    const drawn = data.map((values) => (values === this.held ? values.map((value) => value || null) : values));
    if (this.plot) this.plot.setData(drawn);
    else {
      this.place.replaceChildren();
      this.plot = new uPlot(options(this), drawn, this.place);
    }
    this.data = data;
    this.key(data);
    this.place.setAttribute("aria-label", this.sentence(data));
    const minute = Math.floor(columns.at_s[columns.at_s.length - 1] / 60);
    if (this.table.open && minute !== this.tabled) {
      this.tabled = minute;
      this.tabulate(data);
    }
  }

  /** The key names each line and its value: where the pointer is, else now. */
  key(data) {
    const index = this.at ?? data[0].length - 1;
    const items = this.chart.series.map((one, place) => ({ ...one, value: data[place + 1][index] }));
    if (this.held?.includes(0)) items.push({ name: "held" });
    keep(byId(`${this.chart.id}-key`), items, (item) => item.name, create, (node, item) => {
      if (item.colour) write(node.querySelector("b"), item.value == null ? "–" : number(item.value));
    });
    function create(item) {
      if (!item.colour) {
        return make("li", {}, make("span", { class: "swatch", "aria-hidden": "true", "data-dash": "band" }), item.name);
      }
      const swatch = make("span", { class: "swatch", "aria-hidden": "true", "data-dash": dashed(item.dash) });
      swatch.style.borderTopColor = `var(${item.colour})`;
      return make("li", {}, swatch, item.name, make("b"));
    }
  }

  sentence(data) {
    const said = this.chart.series.map((one, place) => {
      const values = data[place + 1].filter((value) => value != null);
      if (!values.length) return `${one.name}: not known yet`;
      const [low, high] = [Math.min(...values), Math.max(...values)];
      return `${one.name} ${number(values[values.length - 1])} now, between ${number(low)} and ${number(high)}`;
    });
    const minutes = Math.max(1, Math.round((data[0][data[0].length - 1] - data[0][0]) / 60));
    return `${this.chart.what}, the last ${minutes === 1 ? "minute" : `${minutes} minutes`}: ${said.join("; ")}.`;
  }

  tabulate(data) {
    const newest = data[0][data[0].length - 1];
    const head = make("tr", {}, make("th", { scope: "col" }, "Minutes ago"),
      ...this.chart.series.map((one) => make("th", { scope: "col", class: "n" }, one.name)));
    const rows = [];
    for (let minute = 0; minute < SHOWN_S / 60; minute += 1) {
      const within = [...data[0].keys()].filter((index) => Math.floor((newest - data[0][index]) / 60) === minute);
      if (!within.length) break;
      rows.push(make("tr", {}, make("th", { scope: "row" }, minute ? String(minute) : "less than 1"),
        ...data.slice(1).map((values) => make("td", { class: "n" }, mean(within.map((index) => values[index]))))));
    }
    const table = make("table", {}, make("caption", { class: "hidden" }, `${this.chart.what}, means of a minute`),
      make("thead", {}, head), make("tbody", {}, ...rows));
    this.table.querySelector("table")?.remove();
    this.table.append(table);
  }
}

function mean(values) {
  const known = values.filter((value) => value != null);
  return known.length ? number(known.reduce((sum, value) => sum + value, 0) / known.length) : "–";
}

function ago(seconds) {
  if (seconds < 1) return "now";
  return seconds < 60 ? `−${Math.round(seconds)} s` : `−${Number((seconds / 60).toFixed(1))} min`;
}

/** Shade the spans in which nothing was permitted. */
function shaded(plot, held, colour) {
  if (!held) return;
  const { ctx, bbox } = plot;
  const [at] = plot.data;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.fillStyle = colour;
  held.forEach((permitted, index) => {
    if (permitted !== 0) return;
    const from = plot.valToPos(at[index], "x", true);
    const to = plot.valToPos(at[index + 1] ?? at[index] + 1, "x", true);
    ctx.fillRect(from, bbox.top, to - from + 0.5, bbox.height);
  });
  ctx.restore();
}

/** Write a line's name over its newest end. */
function named(plot, place, colour, font) {
  const value = place && plot.data[place][plot.data[place].length - 1];
  if (!value) return;
  const { ctx } = plot;
  ctx.save();
  ctx.font = font.replace("12px", `${11 * devicePixelRatio}px`);
  ctx.fillStyle = colour;
  ctx.textAlign = "right";
  ctx.textBaseline = "bottom";
  ctx.fillText(`limit ${number(value)}`, plot.bbox.left + plot.bbox.width, plot.valToPos(value, "y", true) - 3 * devicePixelRatio);
  ctx.restore();
}

const dashed = (dash) => (dash === undefined ? "0" : dash[0] > 4 ? "1" : "2");

function options(owner) {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const font = `12px ${style.getPropertyValue("--sans")}`;
  const newest = (plot) => plot.data[0][plot.data[0].length - 1];
  const shown = (plot) => SPANS.find(([minutes]) => newest(plot) - plot.data[0][0] <= minutes * 60) ?? SPANS[2];
  return {
    ...owner.size(),
    legend: { show: false },
    padding: [14, 20, 0, 0],
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
    scales: {
      x: { time: false, range: (plot) => [newest(plot) - shown(plot)[0] * 60, newest(plot)] },
      y: { range: (_plot, _low, high) => [0, Math.max(10, (high ?? 0) * 1.1)] },
    },
    axes: [
      {
        stroke: colour("--quiet"), font, size: 28, gap: 6, grid: { show: false },
        ticks: { stroke: colour("--line"), size: 4, width: 1 },
        splits: (plot) => {
          const [minutes, step] = shown(plot);
          return [4, 3, 2, 1, 0].map((place) => newest(plot) - Math.min(place * step, minutes) * 60);
        },
        values: (plot, splits) => splits.map((at) => ago(newest(plot) - at)),
      },
      {
        stroke: colour("--quiet"), font, gap: 6, size: 56, ticks: { show: false },
        grid: { stroke: colour("--grid"), width: 1 }, space: 40,
        incrs: [1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1e3, 2e3, 2.5e3, 5e3, 1e4, 2e4, 2.5e4, 5e4, 1e5, 2.5e5, 5e5, 1e6],
        values: (_plot, splits) => splits.map(number),
      },
    ],
    series: [
      {},
      ...owner.chart.series.map((one) => ({
        label: one.name, stroke: colour(one.colour), width: one.width, dash: one.dash, points: { show: false },
        fill: one.fill ? `${colour(one.colour)}1f` : undefined,
        paths: one.step ? uPlot.paths.stepped({ align: 1 }) : undefined,
      })),
    ],
    hooks: {
      drawClear: [(plot) => shaded(plot, owner.held, colour("--band"))],
      draw: [(plot) => named(plot, owner.chart.marked, colour("--limit"), font)],
      setCursor: [(plot) => {
        owner.at = plot.cursor.left >= 0 ? plot.cursor.idx : null;
        owner.key(owner.data);
      }],
    },
  };
}
