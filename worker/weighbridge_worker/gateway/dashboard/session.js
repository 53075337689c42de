// The operator's token, for as long as this tab lives; where access is off there is none.

const NAME = "weighbridge-token";

export const token = () => sessionStorage.getItem(NAME) ?? "";

export function remember(value) {
  sessionStorage.setItem(NAME, value);
}

export function forget() {
  sessionStorage.removeItem(NAME);
}

/** Ask the gateway; a token goes along as a header, which no other site's page can send. */
export function ask(path, options = {}) {
  const headers = { ...options.headers };
  if (token()) headers["x-api-key"] = token();
  return fetch(path, { ...options, headers, cache: "no-store", credentials: "omit", redirect: "error" });
}

/** The sentence of an error's answer. */
export async function complaint(response) {
  try {
    return (await response.json()).error.message;
  } catch {
    return `the gateway answered ${response.status}`;
  }
}
