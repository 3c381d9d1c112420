// Follows what serves for as long as it changes by itself.
import { showTimes } from "./times.js";

const EVERY_MS = 2_000;

async function follow() {
  const old = document.querySelector("#serving[data-unsettled]");
  if (!old) return;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" }, signal: AbortSignal.timeout(10_000) });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const now = page.getElementById("serving");
    // When it is done everything on the page may be another: the history, the states, the comparisons.
    if (answer.ok && now && !("unsettled" in now.dataset) && !document.querySelector("dialog")) return location.reload();
    // Not under somebody's hands.
    if (answer.ok && now && !old.contains(document.activeElement)) {
      old.replaceChildren(...now.children);
      showTimes(old);
    }
  } catch {
    // The next try may succeed; what is shown stays.
  }
  setTimeout(follow, EVERY_MS);
}

setTimeout(follow, EVERY_MS);
