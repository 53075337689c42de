// Dead letters back into their lanes, after a question.

import { byId, write } from "./elements.js";
import { ask, complaint } from "./session.js";

export async function replay(code, button) {
  if (!(await confirmed(code))) return;
  button.disabled = true;
  write("replay-outcome", `Replaying what failed with ${code} …`);
  try {
    const response = await ask("/v1/dead-letters/replay", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ code }),
    });
    write("replay-outcome", response.ok ? (await response.json()).said : `Not replayed: ${await complaint(response)}.`);
  } catch {
    write("replay-outcome", "The gateway did not answer; what it replayed is no longer listed.");
  } finally {
    button.disabled = false;
  }
}

function confirmed(code) {
  const dialog = byId("confirm");
  write("confirm-title", `Replay what failed with ${code}?`);
  write("confirm-text", "Each job goes back into its own lane with new attempts and a new deadline, and takes a permit like any other. What caused the failures should be mended first.");
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((answer) => {
    dialog.addEventListener("close", () => answer(dialog.returnValue === "replay"), { once: true });
  });
}
