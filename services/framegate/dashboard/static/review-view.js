// What the desk shows. It decides nothing.
import { boxShape, crop } from "./review-stage.js";
import { showTimes } from "./times.js";

const SOON_MS = 100;
const WORDS = {
  loading: ["Loading the picture…"],
  empty: ["Nothing waits.", "What the gate cannot decide appears here by itself."],
  away: ["You were away: everything was given back for others to decide.", null, ["go-on", "Go on", "Enter"]],
};

const button = (does, label, key, kind = "second") => {
  const made = document.createElement("button");
  Object.assign(made, { type: "button", className: kind });
  made.dataset.do = does;
  made.append(`${label} `);
  if (key) made.append(Object.assign(document.createElement("kbd"), { textContent: key }));
  return made;
};
const line = (text) => Object.assign(document.createElement("p"), { textContent: text });

const HARDLY = 0.2;

export class View {
  constructor(root, stage) {
    Object.assign(this, { root, stage, boxesOn: true, warned: false, faults: new Map() });
    this.part = (name) => root.querySelector(`[data-${name}]`);
  }

  phase(phase, entry, why) {
    clearTimeout(this.slow);
    this.stage.root.dataset.phase = phase;
    this.stage.root.setAttribute("aria-busy", phase === "loading");
    for (const each of this.root.querySelectorAll("[data-deciding] [data-do], [data-classes] [data-do]")) {
      const may = phase === "ready" || (phase === "failed" && each.dataset.do === "skip");
      each.setAttribute("aria-disabled", !may);
    }
    // What is there at once replaces the picture before; of what takes longer, that one must not be taken for it.
    if (phase === "loading") return void (this.slow = setTimeout(() => this.cover(WORDS.loading), SOON_MS));
    if (phase === "ready" || phase === "unsaved") return;
    this.cover(phase === "failed" ? [why, "Nothing can be decided without it.", ["reload", "Retry", "Enter"]] : WORDS[phase]);
    if (phase === "failed") this.announce(`${why} Enter: retry. S: skip.`);
    if (phase === "empty") this.announce("Nothing waits.");
  }

  /** Words instead of a picture: nothing of any item is on the screen. */
  cover([what, more, retry]) {
    this.covering?.();
    this.stage.clear();
    this.part("facts").replaceChildren();
    this.part("classes").replaceChildren();
    this.part("tools").hidden = true;
    const place = this.part("words");
    place.hidden = false;
    place.replaceChildren(line(what), ...(more ? [line(more)] : []), ...(retry ? [button(...retry, "")] : []));
  }

  show(entry) {
    const { facts, picture, item } = entry;
    this.covering?.();
    clearTimeout(this.slow);
    this.part("words").hidden = true;
    this.part("tools").hidden = false;
    this.stage.show(picture.image, item);
    this.part("facts").replaceChildren(facts.element);
    showTimes(facts.element);
    this.classes(facts.classes);
    this.part("note").value = entry.note;
    this.noting(Boolean(entry.note));
    this.boxes(entry);
    this.looks(entry);
    this.announce(`Next image: ${facts.spoken}`);
  }

  boxes(entry) {
    const damage = new Set(entry.facts.classes);
    // The surest lie on top. What is hardly seen has no words: they would hide the goods; the list beside has them.
    const found = entry.boxes ?? [...entry.item.detections].sort((one, other) => one.confidence - other.confidence);
    const shapes = found.map(({ class: name, confidence, box }) => {
      const words = confidence === undefined ? name : confidence < HARDLY ? "" : `${name} ${Math.round(confidence * 100)} %`;
      return boxShape(box, words, entry.boxes ? "drawn" : damage.has(name) ? "damage" : "");
    });
    const regions = entry.facts.looks.filter((look) => look.region).map((look) => boxShape(look.region, "", "region"));
    this.stage.draw(this.boxesOn ? [...regions, ...shapes] : []);
    this.root.querySelector('[data-do="boxes"]').setAttribute("aria-pressed", this.boxesOn);
  }

  looks({ facts, picture, item }) {
    const place = facts.element.querySelector("[data-looks]");
    if (!place) return;
    const region = facts.looks.find((look) => look.region)?.region;
    place.replaceChildren(...facts.looks.map((look, n) => {
      const figure = document.createElement("figure");
      const words = n === 0 ? "First look" : "Second look";
      const drawn = crop(picture.url, item, look.region, look.seen, look.region ? null : region);
      drawn.setAttribute("aria-label", `${words}: ${look.seen.map((one) => one.class).join(", ") || "nothing found"}`);
      figure.append(drawn, Object.assign(document.createElement("figcaption"), { textContent: words }));
      return figure;
    }));
  }

  classes(names) {
    const buttons = names.map((name, n) => {
      const made = button("class", name, n < 9 ? String(n + 1) : "", "small");
      made.dataset.name = name;
      if (n < 9) made.setAttribute("aria-keyshortcuts", n + 1);
      return made;
    });
    const hadFocus = this.part("classes").contains(document.activeElement);
    this.part("classes").replaceChildren(...buttons, button("other", "Other…", "O", "small"));
    if (hadFocus) this.stage.root.focus();
  }

  decided(review) {
    const count = document.querySelector("[data-open]");
    if (count && review.decision !== "skip") count.textContent = Math.max(0, Number(count.textContent.replace(/\D/g, "")) - 1);
  }

  announce(text) { this.part("announce").textContent = text; }
  said(text) { this.part("said").textContent = text; }

  /** `last`: what can be taken back, and for how many seconds more. */
  undo(last) {
    const offer = this.root.querySelector('[data-do="undo"]');
    const hadFocus = document.activeElement === offer;
    offer.hidden = !last;
    if (!last && hadFocus) this.stage.root.focus();
    this.part("undone").textContent = last ? ` ${last.words}` : "";
    const of = last && this.part("said").textContent !== last.words ? `${last.words}, ` : "";
    this.part("left").textContent = last ? `${of}${last.seconds} s left` : "";
  }

  noting(open) {
    this.part("noting").hidden = !open;
    this.root.querySelector('[data-do="note"]').setAttribute("aria-expanded", open);
  }

  redrawing(on) {
    this.part("redrawing").hidden = !on;
    this.part("deciding").hidden = on;
    this.part("classes").setAttribute("aria-label", on ? "What the chosen box shows" : "Fail, and what the damage is");
  }

  /** Seconds until what is in hand is given back; null: long. */
  lease(seconds) {
    this.warned = seconds !== null;
    this.fault("lease", seconds === null ? null : `Are you there? In ${seconds} s these images are given back for others to decide. Press any key to keep them.`);
  }

  /** Something to be told until it is closed, or no longer so; text null. `retry`: with a button that sends it again. */
  fault(about, text, retry = false) {
    const known = this.faults.get(about);
    if (known && text !== null) {
      known.firstChild.textContent = text;
      return;
    }
    known?.remove();
    this.faults.delete(about);
    if (text === null) return;
    const place = document.createElement("div");
    place.className = "fault desk-fault";
    place.setAttribute("role", about === "lease" ? "status" : "alert");
    const close = retry ? [button("retry", "Retry", "Enter", ""), button("drop", "Decide anew", "Esc")] : [button("close-fault", "Close", "Esc")];
    if (about === "lease" || about === "take") close.length = 0;
    place.append(line(text), ...close);
    place.dataset.about = about;
    this.faults.set(about, place);
    this.part("faults").append(place);
  }

  /** Closes the newest message that people close; false: there is none. */
  closeFault(about = [...this.faults.keys()].filter((one) => !["lease", "take", "unsaved"].includes(one)).at(-1)) {
    if (about === undefined) return false;
    this.fault(about, null);
    return true;
  }
}
