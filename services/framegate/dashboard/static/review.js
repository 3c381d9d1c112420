// The review desk: keys and buttons on one side, what may be decided (review-desk.js) on the other.
import { BoxEditor } from "./review-boxes.js";
import { Desk } from "./review-desk.js";
import { listen } from "./review-keys.js";
import { Stage } from "./review-stage.js";
import { View } from "./review-view.js";

const PAN = 80; // pixels of the screen
const KEEPS = "framegate.review.keys";
const DECIDING = {
  p: "pass", f: "fail", u: "cannot-tell", s: "skip", z: "undo", n: "note", b: "boxes", r: "redraw", o: "other", "?": "help",
  "+": "zoom-in", "=": "zoom-in", "-": "zoom-out", 0: "fit", Enter: "enter", Escape: "escape",
};
const REDRAWING = {
  a: "add", Delete: "delete", Backspace: "delete", Enter: "done", Escape: "cancel", "?": "help",
  "+": "zoom-in", "=": "zoom-in", "-": "zoom-out", 0: "fit",
};
for (const keys of [DECIDING, REDRAWING]) {
  for (let n = 1; n <= 9; n += 1) keys[n] = "class";
  for (const way of ["Left", "Right", "Up", "Down"]) keys[`Arrow${way}`] = "arrow";
}

const root = document.querySelector("#desk");
const part = (name) => root.querySelector(`[data-${name}]`);
const stage = new Stage(part("stage"));
const view = new View(root, stage);
const opened = performance.getEntriesByType("navigation")[0]?.responseStart ?? 0;
const skew = Date.parse(root.dataset.now) - (performance.timeOrigin + opened);
const desk = new Desk(view, { facility: root.dataset.facility, skew });
let editor = null;
let asked = null; // what was on the screen when the dialog for another class was opened

function fail(name, event) {
  if (name) desk.decide({ decision: "fail", class: name }, `Fail (${name})`, event.timeStamp);
}

function classOf(event) {
  const chosen = event.type === "click" ? event.target.closest("[data-name]")?.dataset.name : undefined;
  return chosen ?? desk.entry?.facts?.classes[Number(event.key) - 1];
}

function redraw() {
  if (!desk.open) return;
  const { entry } = desk;
  const drawn = entry.boxes ?? entry.item.detections.map(({ class: name, box }) => ({ class: name, box }));
  view.redrawing(true);
  editor = new BoxEditor(stage, drawn, entry.facts.classes[0] ?? "damage", (text) => view.announce(text));
  if (!drawn.length) stage.root.focus();
}

function closeEditor() {
  const boxes = editor.close();
  editor = null;
  view.redrawing(false);
  stage.root.focus();
  return boxes;
}

function redrawn(keep) {
  const boxes = closeEditor();
  const { entry } = desk;
  if (keep) entry.boxes = boxes.length ? boxes : null;
  if (entry) view.boxes(entry);
  if (keep) view.said(boxes.length ? `${boxes.length} redrawn, to be kept with a fail.` : "No box drawn: what was found stands.");
}

// Boxes belong to the picture that they were drawn on.
view.covering = () => editor && closeEditor();
const open = (name) => part(name).showModal();

const ACTIONS = {
  pass: (event) => desk.decide({ decision: "pass" }, "Pass", event.timeStamp),
  "cannot-tell": (event) => desk.decide({ decision: "cannot-tell" }, "Cannot tell", event.timeStamp),
  skip: (event) => desk.decide({ skip: true }, "Skip", event.timeStamp),
  fail: () => { if (desk.open) part("classes").querySelector("button")?.focus(); },
  class: (event) => (editor ? editor.call(classOf(event) ?? editor.name) : fail(classOf(event), event)),
  other: () => {
    if (!desk.open) return;
    asked = desk.entry;
    part("other-name").value = "";
    open("other");
  },
  undo: () => desk.undo(),
  note: () => {
    if (desk.phase !== "ready") return;
    view.noting(true);
    part("note").focus();
  },
  boxes: () => {
    view.boxesOn = !view.boxesOn;
    if (desk.phase === "ready" || desk.phase === "unsaved") view.boxes(desk.entry);
  },
  redraw, help: () => open("help"),
  add: () => editor?.add(), delete: () => editor?.delete(), done: () => redrawn(true), cancel: () => redrawn(false),
  "zoom-in": () => stage.zoom(1.5), "zoom-out": () => stage.zoom(1 / 1.5), fit: () => stage.fit(),
  arrow: (event) => {
    if (editor) return editor.arrow(event);
    const [dx, dy] = { ArrowLeft: [PAN, 0], ArrowRight: [-PAN, 0], ArrowUp: [0, PAN], ArrowDown: [0, -PAN] }[event.key];
    stage.pan(dx, dy);
  },
  enter: () => ({ unsaved: () => desk.retry(), failed: () => desk.retryPicture(), away: () => desk.start() })[desk.phase]?.(),
  escape: () => {
    if (desk.unsaved) desk.drop();
    else if (!view.closeFault() && root.contains(document.activeElement)) stage.root.focus();
  },
  retry: () => desk.retry(), drop: () => desk.drop(), reload: () => desk.retryPicture(), "go-on": () => desk.start(),
  "close-fault": (event) => view.closeFault(event.target.closest("[data-about]").dataset.about),
  "close-help": () => part("help").close(), "close-other": () => part("other").close(),
};

// A picture that cannot be moved leaves the arrows to the page.
const names = () => (editor ? REDRAWING : DECIDING);
const useful = (key) => editor !== null || !key.startsWith("Arrow") || (desk.phase === "ready" && !stage.fitted);
const SAFE = ["Enter", "Escape"];
listen(names, (name, event) => ACTIONS[name](event), (key) => useful(key) && (part("keys").checked || editor !== null || SAFE.includes(key)));

root.addEventListener("click", (event) => {
  const pressed = event.target.closest("[data-do]");
  // The second click of a double click is none: the next picture may be there already.
  if (!pressed || event.detail > 1 && pressed.closest("[data-deciding], [data-classes]")) return;
  ACTIONS[pressed.dataset.do](event);
  if (!pressed.isConnected || pressed.closest("[hidden]")) stage.root.focus();
});
part("note").addEventListener("input", (event) => { if (desk.entry) desk.entry.note = event.target.value; });
part("note").addEventListener("keydown", (event) => {
  if (event.key !== "Escape" && (event.key !== "Enter" || event.shiftKey)) return;
  event.preventDefault();
  if (!event.target.value.trim()) view.noting(false);
  stage.root.focus();
});
part("other-form").addEventListener("submit", (event) => {
  const name = part("other-name").value.trim();
  if (editor) editor.call(name || editor.name);
  else if (desk.entry === asked) fail(name, event);
  else view.said("Meanwhile another image has come: nothing was decided.");
});
part("keys").checked = localStorage.getItem(KEEPS) !== "off";
part("keys").addEventListener("change", (event) => localStorage.setItem(KEEPS, event.target.checked ? "on" : "off"));

for (const name of ["keydown", "pointerdown", "wheel"]) addEventListener(name, () => desk.wake(), { passive: true, capture: true });
addEventListener("pagehide", () => desk.letGo());
addEventListener("pageshow", (event) => { if (event.persisted) desk.start(); });
addEventListener("beforeunload", (event) => { if (desk.unsaved) event.preventDefault(); });
setInterval(() => desk.tick(), 1000);

root.hidden = false;
desk.start();
