// Numbers and spans of time as people read them.

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

export const number = (value) => whole.format(value);

export const percent = (share) => `${whole.format(Math.round(share * 100))} %`;

/** Seconds of latency: three digits, in the unit that fits. */
export function latency(seconds) {
  if (seconds === null) return "–";
  if (seconds < 1) return `${Number((seconds * 1000).toPrecision(3))} ms`;
  if (seconds < 100) return `${Number(seconds.toPrecision(3))} s`;
  return span(seconds);
}

/** A span as roughly as it is known. */
export function span(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}

export function bytes(size) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let power = 0;
  while (size >= 1024 && power < units.length - 1) [size, power] = [size / 1024, power + 1];
  return `${power ? size.toFixed(1) : size} ${units[power]}`;
}

export const counted = (value, one, many) => `${number(value)} ${value === 1 ? one : many}`;

/** Why jobs fail for good, by the stable code. */
const CODES = {
  invalid_request: "the API refuses the payload",
  not_countable: "cannot be counted by kind",
  not_found: "the API knows no such model",
  payload_too_large: "larger than the API takes",
  expired: "nobody could count it in time",
  poison: "workers died with it",
  timeout: "the API did not answer in time",
  connection: "the API could not be reached",
  overloaded: "the API was overloaded",
  bad_response: "the API’s answer made no sense",
};

export function meaning(code) {
  if (/^http_5\d\d$/.test(code)) return "the API failed, again and again";
  if (/^http_4\d\d$/.test(code)) return "the endpoint refuses the request";
  return CODES[code] ?? "";
}
