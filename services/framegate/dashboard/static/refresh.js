// A page that keeps itself current: every 5 s it is asked for again, and what is inside [data-refresh] is put in the place
// of what was there, unless somebody is busy in it. [data-live] says whether that works.
import { showTimes } from "./times.js";

const EVERY_MS = 5_000;
const PATIENCE_MS = 10_000;
const live = document.querySelector("[data-live]");

function say(state, words) {
  live.dataset.state = state;
  if (live.textContent !== words) live.textContent = words;
}

const isBusy = (part) =>
  part.contains(document.activeElement) || document.querySelector("dialog[open]") !== null ||
  part.querySelector(":disabled, [data-fault]:not([hidden])") !== null ||
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

async function refresh() {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" }, signal: AbortSignal.timeout(PATIENCE_MS) });
  if (answer.redirected) {
    say("off", "Your login has ended: reload to log in.");
    return false;
  }
  if (!answer.ok) throw new Error(`Error ${answer.status}`);
  const next = new DOMParser().parseFromString(await answer.text(), "text/html");
  document.querySelectorAll("[data-refresh]").forEach((part) => take(part, next.getElementById(part.id)));
  say("on", "Live, every 5 s");
  return true;
}

async function go() {
  let on = true;
  if (!document.hidden) {
    try {
      on = await refresh();
    } catch {
      say("off", "Framegate cannot be reached: what you see is old. Trying again.");
    }
  }
  if (on) setTimeout(go, EVERY_MS);
}

say("on", "Live, every 5 s");
setTimeout(go, EVERY_MS);
