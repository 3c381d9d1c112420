// The editor of a policy: check, try, apply. What the API answers becomes text, never markup.
import { ask, call } from "./api.js";

const MOST_CHANGES = 6;
const byId = (id) => document.getElementById(`policy-${id}`);
const editor = document.getElementById("editor");
const text = byId("text"), state = byId("state"), applyButton = byId("apply");
const facility = editor.dataset.facility;
/** The version that the text was made from. */
let expected = Number(editor.dataset.expected);
/** What was checked last without a fault; null: the text has changed since, or was never checked. */
let checked = null;
let kept = text.value;

function el(name, properties = {}, ...inside) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...inside);
  return made;
}

const badge = (word, kind = word) => el("span", { className: `badge ${kind}` }, word);
const note = (words, kind = "") => el("p", { className: kind === "fault" ? "fault" : `note ${kind}` }, words);
const list = (items, className) => el("ul", { className }, ...items.map((item) => el("li", {}, ...item)));

function said(change) {
  const entry = el("code", {}, change.entry), code = (json) => el("code", {}, json);
  if (!change.before) return [badge("added"), " ", entry, ": ", code(change.after)];
  if (!change.after) return [badge("removed"), " ", entry, ", was ", code(change.before)];
  return [badge("changed"), " ", entry, ": ", code(change.before), " → ", code(change.after)];
}

const inWords = ({ entry, before, after }) =>
  !before ? `${entry} is added: ${after}` : !after ? `${entry} is removed, was ${before}` : `${entry}: ${before} becomes ${after}`;

function goTo(line) {
  const lines = text.value.split("\n");
  const start = lines.slice(0, line - 1).reduce((sum, each) => sum + each.length + 1, 0);
  text.focus();
  text.setSelectionRange(start, start + (lines[line - 1] ?? "").length);
  const height = Number.parseFloat(getComputedStyle(text).lineHeight);
  text.scrollTop = Math.max(0, (line - 4) * height);
}

function faultOf(fault) {
  const found = [fault.path && el("code", {}, fault.path), fault.path && ": ", fault.detail].filter(Boolean);
  if (fault.line) {
    const button = el("button", { type: "button", className: "small" }, `Go to line ${fault.line}`);
    button.addEventListener("click", () => goTo(fault.line));
    found.push(" ", button);
  }
  return found;
}

const count = (number, one) => `${number} ${one}${number === 1 ? "" : "s"}`;

function changed() {
  checked = null;
  applyButton.disabled = true;
  state.textContent = "Check it before you apply it.";
}

async function others(base) {
  const now = await call("GET", `/v1/policy?facility=${encodeURIComponent(facility)}`);
  const words = `Meanwhile ${now.created_by} applied version ${base}, and your text was made from version ${expected}. `;
  return note(`${words}Applying yours takes back what that one changed, as far as it is listed here.`, "warning");
}

async function check() {
  const yaml = text.value;
  const answer = await call("POST", "/v1/policy/check", { facility, yaml });
  const place = byId("checked");
  place.replaceChildren(el("h3", {}, answer.valid ? "It can be applied" : `It cannot be applied: ${count(answer.faults.length, "fault")}`));
  if (!answer.valid) place.append(list(answer.faults.map(faultOf), "faults"));
  const base = answer.base ?? 0;
  if (base !== expected) place.append(await others(base));
  if (answer.everything) place.append(note(`Nearly everything would be left to people: ${answer.everything}.`, "warning"));
  answer.notes.forEach((each) => place.append(note(each)));
  if (answer.changes.length) {
    place.append(el("h3", {}, `What it changes against version ${base}`), list(answer.changes.map(said), "changes"));
  } else if (answer.valid) {
    place.append(note(base ? `It says the same as version ${base}, which holds.` : "It is the first one."));
  }
  place.focus();
  if (text.value !== yaml) return;
  const usable = answer.valid && (answer.changes.length > 0 || !base);
  // From here on the list is against `base`: whoever applies has seen what it takes back.
  if (usable) expected = base;
  checked = usable ? { yaml, ...answer } : null;
  applyButton.disabled = !usable;
  state.textContent = usable ? "Checked without a fault." : answer.valid ? "There is nothing to apply." : "Correct the faults and check again.";
}

function table(head, rows, label) {
  const scroll = el("div", { className: "scroll", tabIndex: 0 });
  scroll.setAttribute("role", "region");
  scroll.setAttribute("aria-label", label);
  const titles = head.map(([words, className]) => el("th", { className }, words));
  const body = rows.map((row) => el("tr", {}, ...row.map((words, n) => el("td", { className: head[n][1] }, words))));
  scroll.append(el("table", {}, el("thead", {}, el("tr", {}, ...titles)), el("tbody", {}, ...body)));
  return scroll;
}

function age(seconds) {
  const hours = seconds / 3600;
  if (hours >= 48) return count(Math.round(hours / 24), "day");
  return hours >= 2 ? count(Math.round(hours), "hour") : count(Math.max(1, Math.round(seconds / 60)), "minute");
}

const end = (from, name) => from[name] ?? 0;

function sentence(trial) {
  const more = end(trial.would_be, "review") - end(trial.decided, "review");
  const share = Math.abs((100 * more) / trial.images).toFixed(1);
  if (!more) return "As many as now would be left to people.";
  return `${count(Math.abs(more), "image")} ${more > 0 ? "more" : "fewer"} would be left to people (${share} % of those tried).`;
}

async function tryIt() {
  const place = byId("tried");
  place.replaceChildren(el("p", { className: "soft" }, "Deciding stored images again: 20 seconds at most. No model runs and nothing changes."));
  const body = { facility, yaml: text.value, since: byId("since").value, limit: Number(byId("limit").value) };
  let trial;
  try {
    trial = await call("POST", "/v1/policy/simulate", body);
  } catch (error) {
    place.replaceChildren();
    if (error.problem?.errors?.length && error.status === 422) {
      place.append(note("It cannot be tried, it has faults: check it.", "fault"));
      return place.focus();
    }
    throw error;
  }
  place.replaceChildren();
  const changes = trial.flips.reduce((sum, flip) => sum + flip.images, 0);
  if (!trial.images) {
    place.append(note("There are no decided images of that time to try it on."));
  } else {
    place.append(
      el("p", {}, el("strong", {}, changes ? `${changes} of ${count(trial.images, "image")} would end otherwise. ` : `All ${trial.images} images would end as they did. `), sentence(trial),
        ` The oldest was received ${age(trial.oldest_s)} ago.`, trial.cut ? " There are more images than were tried." : ""),
    );
    const ends = [...new Set([...Object.keys(trial.decided), ...Object.keys(trial.would_be)])];
    place.append(table([["Ends", ""], ["Now", "number"], ["Then", "number"]],
      ends.map((one) => [badge(one), String(end(trial.decided, one)), String(end(trial.would_be, one))]), "How images end"));
  }
  if (trial.flips.length) {
    place.append(el("h3", {}, "What would be otherwise"), table([["Was", ""], ["Would be", ""], ["Images", "number"]],
      trial.flips.map((flip) => [badge(flip.was), badge(flip.would_be), String(flip.images)]), "Images that would end otherwise"));
    const links = trial.changed.map(({ image, was, would_be }) => {
      const link = el("a", { href: `/inspections/${encodeURIComponent(image)}`, target: "_blank", rel: "noopener" }, image.slice(-12));
      return [link, ` ${was} → ${would_be}`];
    });
    place.append(el("details", {}, el("summary", {}, links.length === changes ? "Look at them (in a new tab)" : `Look at the newest ${links.length} of them (in a new tab)`), list(links, "changes")));
  }
  for (const [reason, images] of Object.entries(trial.left_out)) place.append(note(`Left out: ${count(images, "image")}, ${reason}.`));
  place.focus();
}

async function apply() {
  const { yaml, changes, everything } = checked;
  const listed = changes.slice(0, MOST_CHANGES).map(inWords).join("; ");
  const more = changes.length > MOST_CHANGES ? `; and ${changes.length - MOST_CHANGES} more` : "";
  const warning = everything ? ` Nearly everything would be left to people: ${everything}.` : "";
  const question = `Within seconds, images in ${facility} are decided by this. It changes ${listed ? listed + more : "nothing that was there before"}.${warning} You can go back to version ${expected} at any time.`;
  if (!(await ask(question, "Yes, apply it"))) return;
  try {
    await call("PUT", "/v1/policy", { facility, yaml, expected, ...(everything ? { force: true } : {}) });
  } catch (error) {
    if (error.status !== 409) throw error;
    const words = `${error.message} Your text is still here. Check it again: that lists what it changes against the version that holds now.`;
    byId("checked").replaceChildren(note(words, "fault"));
    changed();
    byId("checked").focus();
    return;
  }
  kept = text.value;
  location.assign(`/policy?facility=${encodeURIComponent(facility)}`);
}

function does(id, action) {
  const button = byId(id);
  button.addEventListener("click", async () => {
    button.disabled = true;
    const before = state.textContent;
    state.textContent = "One moment…";
    try {
      await action();
      if (state.textContent === "One moment…") state.textContent = before;
    } catch (error) {
      state.textContent = error.message;
    } finally {
      button.disabled = id === "apply" && !checked;
    }
  });
}

does("check", check);
does("try", tryIt);
does("apply", apply);
byId("check").disabled = byId("try").disabled = false;
text.addEventListener("input", changed);
addEventListener("beforeunload", (event) => { if (text.value !== kept) event.preventDefault(); });
