// Outcomes appear with their camera as they happen (/live); figures, incidents and bars are asked for again now and then.
import { refresh, say } from "./refresh.js";
import { showTimes } from "./times.js";

const EACH = 5; // as nowview.EACH
const MOST_HELD = 500;
const DRAW_MS = 100;
const SAY_MS = 10_000;
const REFRESH_MS = 20_000;
const AGAIN_MS = 10_000;

const main = document.querySelector("[data-stream]");
const only = main.dataset.only;
const said = document.querySelector("[data-said]");
const note = document.querySelector("[data-note]");
const pause = document.querySelector("[data-pause]");

let source;
let address = main.dataset.stream;
let over = false;
let paused = false;
let held = []; // not shown yet: for a moment, or while paused
let unsaid = new Map(); // how many of each kind nobody was told of

function advise(words) {
  const link = document.createElement("a");
  link.href = location.href;
  link.textContent = "Reload";
  note.replaceChildren(`${words} `, link);
  note.hidden = false;
}

function count(name) {
  const place = document.querySelector(`[data-count="${name}"]`);
  if (place) place.textContent = (Number(place.textContent.replace(/\D/g, "")) + 1).toLocaleString("en").replaceAll(",", "\u202f");
}

function show(outcome) {
  ["five_minutes", "hour", outcome.kind].forEach(count);
  unsaid.set(outcome.kind, (unsaid.get(outcome.kind) ?? 0) + 1);
  if (only && outcome.kind !== only) return;
  const block = main.querySelector(`[data-camera="${CSS.escape(outcome.place)}"]`);
  if (!block) return advise("A camera that is not shown here has sent an image.");
  if (block.querySelector(`[data-image="${outcome.image}"]`)) return;
  const strip = block.querySelector("[data-strip]");
  // From our own template, where everything is escaped.
  strip.insertAdjacentHTML("afterbegin", outcome.html);
  strip.firstElementChild.classList.add("new");
  showTimes(strip.firstElementChild);
  while (strip.children.length > EACH && !strip.lastElementChild.contains(document.activeElement)) strip.lastElementChild.remove();
  const busy = block.closest("section").querySelector("[data-busy]");
  if (block.parentElement !== busy) busy.append(block); // it is quiet no more
  if (outcome.kind === "fail" || outcome.kind === "failed") block.classList.add("bad");
}

function draw() {
  if (paused) return (pause.textContent = held.length ? `Go on (${held.length} new)` : "Go on");
  held.forEach(show);
  held = [];
}

function speak() {
  if (unsaid.size && !paused) {
    const all = [...unsaid.values()].reduce((sum, n) => sum + n, 0);
    said.textContent = `${all} new: ${[...unsaid].map(([kind, n]) => `${n} ${kind}`).join(", ")}`;
    unsaid = new Map();
  }
}

function end(words) {
  over = true;
  source.close();
  say("off", "Not live any more");
  advise(words);
}

function listen() {
  source = new EventSource(address);
  source.onopen = () => say("on", "Live");
  source.onerror = () => {
    if (over) return;
    say("off", "Cut off: trying again");
    // The browser tries again by itself unless it was refused.
    if (source.readyState === EventSource.CLOSED) setTimeout(() => over || listen(), AGAIN_MS);
  };
  source.addEventListener("outcome", (event) => {
    const place = new URL(address, location.href);
    place.searchParams.set("after", event.lastEventId);
    address = place.pathname + place.search;
    if (held.push(JSON.parse(event.data)) === 1 && !paused) setTimeout(draw, DRAW_MS);
    if (held.length > MOST_HELD) held.shift();
    if (paused) draw();
  });
  source.addEventListener("trouble", () => say("off", "The database does not answer: nothing new comes in"));
  source.addEventListener("recovered", () => say("on", "Live"));
  source.addEventListener("reset", () => end("Too much has happened meanwhile, or your login has ended."));
}

pause.hidden = false;
pause.addEventListener("click", () => {
  paused = !paused;
  pause.textContent = "Pause";
  draw();
});
// Whoever leaves does not listen any more, also where the browser keeps the page for going back.
addEventListener("pagehide", () => source.close());
addEventListener("pageshow", (event) => event.persisted && !over && listen());

setInterval(speak, SAY_MS);
setInterval(async () => {
  if (document.hidden || paused || over) return;
  try {
    if (!(await refresh())) end("Your login has ended.");
  } catch {
    // The stream says that nothing comes in.
  }
}, REFRESH_MS);

say("wait", "Connecting");
listen();
