// The page's life: ask for a token where one is needed, follow the stream, show what comes.

import { Charts } from "./charts.js";
import { byId, write } from "./elements.js";
import { showPool, showSilence, showVerdict } from "./panels.js";
import { replay } from "./replay.js";
import { forget, remember, token } from "./session.js";
import { follow } from "./stream.js";

const charts = new Charts();
const clock = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });

let heard = "";

function link(state, text) {
  byId("link").dataset.state = state;
  write("link-text", text);
  byId("facts").dataset.stale = state === "lost" ? "1" : "0";
}

const on = {
  history: (columns) => charts.begin(columns),
  snapshot(seen) {
    link("live", "Live");
    byId("sign-in").hidden = true;
    byId("pool").hidden = false;
    byId("facts").hidden = false;
    write("namespace", seen.namespace);
    showVerdict(seen);
    byId("facts").dataset.stale = seen.pool ? "0" : "1";
    if (seen.pool) {
      write("endpoint", seen.pool.endpoint.replace(/^https:\/\//, ""));
      charts.add(seen);
      showPool(seen.pool, replay);
    }
    heard = clock.format(new Date());
    write("updated", `Last look at ${heard}`);
  },
  lost(why, seconds) {
    link("lost", `Connection lost: ${why}. Again in ${seconds} s`);
    byId("pool").hidden = !byId("sign-in").hidden;
    byId("facts").hidden = !heard;
    showSilence(heard);
  },
  refused({ text }) {
    link("closed", "Not signed in");
    write("sign-in-error", token() ? `Refused: ${text}.` : "");
    forget();
    byId("pool").hidden = true;
    byId("sign-in").hidden = false;
    document.title = "Sign in – Weighbridge";
    byId("token").focus();
  },
};

byId("sign-in-form").addEventListener("submit", (event) => {
  event.preventDefault();
  remember(byId("token").value.trim());
  byId("token").value = "";
  link("connecting", "Connecting");
  follow(on);
});

follow(on);
