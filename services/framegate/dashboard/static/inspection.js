// The picture of an inspection: zoom, pan, which boxes are shown, and boxes and rows that point at each other.
// An image in flight: looks every second and a half whether it has ended.
import { call } from "./api.js";

const MOST_ZOOM = 40;
const LABEL_HEIGHT = 20;
const LARGE = 1920;
const view = document.querySelector("[data-view]");

class Stage {
  constructor(svg) {
    this.svg = svg;
    this.width = Number(svg.dataset.width);
    this.height = Number(svg.dataset.height);
    this.boxes = [...svg.querySelectorAll(".box")].map((element) => {
      const [x, y, width, height] = element.dataset.box.split(" ").map(Number);
      const label = element.querySelector(".label");
      return { element, x, y, width, height, label, plate: label.querySelector("rect"), text: label.querySelector("text") };
    });
    this.show(0, 0, this.width);
    new ResizeObserver(() => this.show(this.x, this.y, this.w)).observe(svg);
  }

  /** Shows what begins at (x, y) and is `w` pixels of the picture wide. */
  show(x, y, w) {
    this.w = this.within(w);
    this.h = (this.w * this.height) / this.width;
    this.x = Math.min(Math.max(0, x), this.width - this.w);
    this.y = Math.min(Math.max(0, y), this.height - this.h);
    this.svg.setAttribute("viewBox", `${this.x} ${this.y} ${this.w} ${this.h}`);
    this.svg.toggleAttribute("data-zoomed", this.w < this.width);
    const unit = this.unit();
    if (!unit) return;
    for (const box of this.boxes) {
      const words = box.text.getComputedTextLength();
      if (words) box.plate.setAttribute("width", words + 10);
      const left = Math.min(Math.max(box.x, this.x), box.x + box.width);
      const above = box.y - LABEL_HEIGHT * unit;
      const top = above >= this.y ? above : Math.min(Math.max(box.y, this.y), box.y + box.height);
      box.label.setAttribute("transform", `translate(${left} ${top}) scale(${unit})`);
    }
    this.sharpen(unit);
  }

  /** `w`, or the nearest that may be shown. */
  within(w) {
    return Math.min(this.width, Math.max(this.width / MOST_ZOOM, w));
  }

  /** Pixels of the picture to one of the screen. */
  unit() {
    const { width, height } = this.svg.getBoundingClientRect();
    return width && height ? Math.max(this.w / width, this.h / height) : 0;
  }

  /** Fetches the whole picture once less is shown than the smaller one has. */
  sharpen(unit) {
    const scale = LARGE / Math.max(this.width, this.height);
    if (this.full || scale >= 1 || devicePixelRatio / unit < scale * 1.15) return;
    this.full = true;
    const picture = this.svg.querySelector("image");
    const sharp = new Image();
    sharp.addEventListener("load", () => picture.setAttribute("href", sharp.src));
    sharp.src = picture.getAttribute("href").replace("preview=large", "preview=full");
  }

  /** Keeps the point at shares (px, py) of what is shown where it is. */
  zoom(factor, px = 0.5, py = 0.5) {
    const w = this.within(this.w / factor);
    this.show(this.x + (this.w - w) * px, this.y + (this.h - this.h * (w / this.w)) * py, w);
  }

  pan(dx, dy) {
    this.show(this.x + dx, this.y + dy, this.w);
  }

  /** So that the box fills a third of what is shown. */
  go(n) {
    const box = this.boxes.find((each) => each.element.dataset.n === n);
    if (!box) return;
    const shown = this.within(3 * Math.max(box.width, (box.height * this.width) / this.height));
    this.show(box.x + box.width / 2 - shown / 2, box.y + box.height / 2 - (shown * this.height) / this.width / 2, shown);
  }

  /** A point of the screen as shares of what is shown. */
  at(event) {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.svg.getScreenCTM().inverse());
    return [(point.x - this.x) / this.w, (point.y - this.y) / this.h];
  }
}

function byPointer(stage) {
  const { svg } = stage;
  const held = new Map();
  let moved = 0;
  svg.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey && !svg.contains(document.activeElement)) return;
    event.preventDefault();
    stage.zoom(Math.exp(-event.deltaY / (event.deltaMode ? 10 : 400)), ...stage.at(event));
  }, { passive: false });
  svg.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    held.set(event.pointerId, event);
    moved = 0;
  });
  svg.addEventListener("pointermove", (event) => {
    const before = held.get(event.pointerId);
    if (!before) return;
    const dx = event.clientX - before.clientX, dy = event.clientY - before.clientY;
    const other = [...held.values()].find((each) => each.pointerId !== event.pointerId);
    moved += Math.abs(dx) + Math.abs(dy);
    held.set(event.pointerId, event);
    if (other) {
      const far = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY) || 1;
      stage.zoom(far(event) / far(before), ...stage.at({ clientX: (event.clientX + other.clientX) / 2, clientY: (event.clientY + other.clientY) / 2 }));
    } else if (moved > 4 && svg.hasAttribute("data-zoomed")) {
      svg.setPointerCapture(event.pointerId);
      svg.setAttribute("data-held", "");
      const unit = stage.unit();
      stage.pan(-dx * unit, -dy * unit);
    }
  });
  const release = (event) => {
    held.delete(event.pointerId);
    svg.removeAttribute("data-held");
  };
  for (const kind of ["pointerup", "pointercancel", "lostpointercapture"]) svg.addEventListener(kind, release);
  // What was dragged was not clicked.
  svg.addEventListener("click", (event) => moved > 4 && event.preventDefault(), true);
  svg.addEventListener("dragstart", (event) => event.preventDefault());
}

function byKeys(stage, toggle) {
  const step = () => stage.w / 8;
  const keys = {
    "+": () => stage.zoom(1.5), "=": () => stage.zoom(1.5), "-": () => stage.zoom(1 / 1.5),
    0: () => stage.show(0, 0, stage.width), b: toggle,
    ArrowLeft: () => stage.pan(-step(), 0), ArrowRight: () => stage.pan(step(), 0),
    ArrowUp: () => stage.pan(0, -step()), ArrowDown: () => stage.pan(0, step()),
  };
  stage.svg.addEventListener("keydown", (event) => {
    const act = event.ctrlKey || event.metaKey || event.altKey ? undefined : keys[event.key];
    // Arrows scroll the page while there is nothing to move.
    if (!act || (event.key.startsWith("Arrow") && !stage.svg.hasAttribute("data-zoomed"))) return;
    event.preventDefault();
    act();
  });
}

function chosen(stage) {
  const layers = [...document.querySelectorAll("input[data-layer]")];
  const least = document.querySelector("[data-least]"), said = document.querySelector("[data-said]");
  const apply = () => {
    const shown = new Set(layers.filter((each) => each.checked).map((each) => each.dataset.layer));
    said.textContent = Number(least.value).toFixed(2);
    for (const { element } of stage.boxes) {
      const off = !shown.has(element.dataset.layer) || Number(element.dataset.confidence) < Number(least.value);
      element.classList.toggle("off", off);
      document.getElementById(`found-${element.dataset.n}`)?.classList.toggle("faint", off);
    }
  };
  for (const each of layers) each.hidden = false;
  for (const each of [...layers, least]) each.addEventListener("input", apply);
  apply();
  return () => {
    const some = layers.some((each) => each.checked);
    for (const each of layers) each.checked = !some;
    apply();
  };
}

function linked(stage) {
  const light = (event, on) => {
    const n = event.target.closest?.("[data-n]")?.dataset.n;
    if (n === undefined) return;
    for (const each of document.querySelectorAll(`[data-view] .box[data-n="${n}"], tr[data-n="${n}"]`)) each.classList.toggle("lit", on);
    stage.svg.toggleAttribute("data-lit", on);
  };
  for (const kind of ["mouseover", "focusin"]) document.addEventListener(kind, (event) => light(event, true));
  for (const kind of ["mouseout", "focusout"]) document.addEventListener(kind, (event) => light(event, false));
  document.addEventListener("click", (event) => {
    const n = event.target.closest("[data-go]")?.dataset.go;
    if (n === undefined) return;
    event.preventDefault();
    stage.go(n);
  });
}

function watch(element) {
  const said = element.querySelector("[data-state]");
  const look = async () => {
    try {
      const image = await call("GET", `/v1/images/${element.dataset.wait}`);
      if (image.decided_at) return location.reload();
      said.textContent = `Now ${image.state}. This page follows by itself.`;
    } catch (error) {
      said.textContent = error.message;
    }
    setTimeout(look, 1500);
  };
  setTimeout(look, 1000);
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, textarea, select")) return;
  [...document.querySelectorAll("a[data-key]")].find((each) => each.dataset.key === event.key)?.click();
});

if (view) {
  const stage = new Stage(view);
  byPointer(stage);
  byKeys(stage, chosen(stage));
  linked(stage);
  const tools = document.querySelector("[data-tools]");
  tools.hidden = false;
  tools.addEventListener("click", (event) => {
    const how = event.target.closest("[data-zoom]")?.dataset.zoom;
    if (how) how === "all" ? stage.show(0, 0, stage.width) : stage.zoom(how === "in" ? 1.5 : 1 / 1.5);
  });
}
const waiting = document.querySelector("[data-wait]");
if (waiting) watch(waiting);
