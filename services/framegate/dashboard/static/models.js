// Follows what serves for as long as it changes by itself.
import { refresh } from "./refresh.js";

const EVERY_MS = 2_000;

async function follow() {
  try {
    const now = await refresh();
    if (!now) return;
    // When it is done everything on the page may be another: the history, the states, the comparisons.
    if (!now.querySelector("[data-unsettled]") && !document.querySelector("dialog")) return location.reload();
  } catch {
    // The next try may succeed; what is shown stays.
  }
  setTimeout(follow, EVERY_MS);
}

if (document.querySelector("[data-unsettled]")) setTimeout(follow, EVERY_MS);
