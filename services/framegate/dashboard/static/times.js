// <time datetime="…"> in the viewer's zone; with data-ago how long since then, kept current.
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const short = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto", style: "short" });
const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

function ago(at) {
  const seconds = (at - Date.now()) / 1000;
  const [unit, size] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? UNITS.at(-1);
  return relative.format(Math.round(seconds / size), unit);
}

function show(element) {
  const at = new Date(element.dateTime);
  if (Number.isNaN(at.getTime())) return;
  const today = at.toDateString() === new Date().toDateString();
  element.title = exact.format(at);
  element.textContent = "ago" in element.dataset ? ago(at) : today ? short.format(at) : exact.format(at);
}

/** Shows the moments inside `root`; whoever adds to a page calls it for what was added. */
export function showTimes(root = document) {
  root.querySelectorAll("time[datetime]").forEach(show);
}

showTimes();
setInterval(() => document.querySelectorAll("time[data-ago]").forEach(show), 10_000);
