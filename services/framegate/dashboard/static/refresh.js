// Parts of a page that are kept current: the page is asked for again, and what is inside [data-refresh] is put in the place
// of what was there, unless somebody is busy in it.
import { showTimes } from "./times.js";

const PATIENCE_MS = 10_000;

/** Says in [data-live] whether what is shown still comes in: "on", "off" or "wait". */
export function say(state, words) {
  const live = document.querySelector("[data-live]");
  live.dataset.state = state;
  if (live.textContent !== words) live.textContent = words;
}

const isBusy = (part) =>
  part.contains(document.activeElement) || document.querySelector("dialog[open]") !== null ||
  part.querySelector("button:disabled, [data-fault]:not([hidden])") !== null ||
  (getSelection()?.isCollapsed === false && part.contains(getSelection().anchorNode));

// What it was made of, as its moments are shown otherwise than they came.
const made = new Map();

function take(part, next) {
  const html = next?.innerHTML ?? "";
  if (made.get(part.id) === html || isBusy(part)) return;
  made.set(part.id, html);
  part.innerHTML = html;
  showTimes(part);
}

/** The page as it is now; null: the login has ended. Throws when there is no answer. */
export async function refresh() {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" }, signal: AbortSignal.timeout(PATIENCE_MS) });
  if (answer.redirected) return null;
  if (!answer.ok) throw new Error(`Error ${answer.status}`);
  const next = new DOMParser().parseFromString(await answer.text(), "text/html");
  document.querySelectorAll("[data-refresh]").forEach((part) => take(part, next.getElementById(part.id)));
  return next;
}
