// Redrawing boxes, with the pointer or by keys.
import { boxShape, svg } from "./review-stage.js";

const LEAST = 4; // pixels of the picture
const HANDLE = 12; // pixels of the screen
const CORNERS = [[0, 1], [2, 1], [0, 3], [2, 3]]; // which edges of x1, y1, x2, y2 a corner moves

export class BoxEditor {
  /** `boxes`: [{class, box}], which stay as they are; `name` is what new ones are called; `say` tells who cannot see. */
  constructor(stage, boxes, name, say) {
    Object.assign(this, { stage, name, say, boxes: structuredClone(boxes), chosen: boxes.length ? 0 : -1 });
    stage.editor = this;
    stage.overlay.removeAttribute("aria-hidden");
    stage.overlay.addEventListener("focusin", (event) => this.focused(event), { signal: (this.end = new AbortController()).signal });
    this.draw(true);
  }

  close() {
    this.end.abort();
    this.stage.editor = null;
    this.stage.overlay.setAttribute("aria-hidden", "true");
    return this.boxes.map(({ class: name, box }) => ({ class: name, box: box.map((edge) => Math.round(edge * 10) / 10) }));
  }

  words(n) {
    const { class: name, box: [x1, y1, x2, y2] } = this.boxes[n];
    const [x, y, width, height] = [x1, y1, x2 - x1, y2 - y1].map(Math.round);
    return `${name}, box ${n + 1} of ${this.boxes.length}: ${width} by ${height} pixels at ${x}, ${y}`;
  }

  draw(focus = false) {
    this.stage.draw(this.boxes.map((one, n) => {
      const shape = boxShape(one.box, one.class, n === this.chosen ? "edited chosen" : "edited");
      const attributes = { tabindex: 0, role: "button", "aria-label": this.words(n), "aria-pressed": n === this.chosen, "data-n": n };
      for (const [key, value] of Object.entries(attributes)) shape.setAttribute(key, value);
      if (n === this.chosen) {
        shape.append(...CORNERS.map(([i, j]) => svg("circle", { class: "handle", cx: one.box[i], cy: one.box[j] })));
      }
      return shape;
    }));
    if (focus) this.stage.overlay.children[this.chosen]?.focus();
  }

  focused({ target }) {
    const n = Number(target.dataset.n);
    if (n === this.chosen || Number.isNaN(n)) return;
    this.chosen = n;
    this.draw(true);
  }

  changed() {
    this.draw(true);
    this.say(this.boxes[this.chosen] ? this.words(this.chosen) : "No box.");
  }

  add() {
    const [x1, y1, x2, y2] = this.stage.sight;
    const box = [(x1 * 5 + x2 * 3) / 8, (y1 * 5 + y2 * 3) / 8, (x1 * 3 + x2 * 5) / 8, (y1 * 3 + y2 * 5) / 8];
    this.chosen = this.boxes.push({ class: this.name, box }) - 1;
    this.changed();
  }

  delete() {
    if (this.chosen < 0) return;
    this.boxes.splice(this.chosen, 1);
    this.chosen = Math.min(this.chosen, this.boxes.length - 1);
    this.changed();
    if (this.chosen < 0) this.stage.root.focus();
  }

  call(name) {
    this.name = name;
    if (this.chosen < 0) return;
    this.boxes[this.chosen].class = name;
    this.changed();
  }

  /** An arrow key: moves the chosen box; with Shift its lower right corner; with Ctrl by a pixel. */
  arrow(event) {
    const one = this.boxes[this.chosen];
    if (!one) return;
    const { width, height } = this.stage.size;
    const step = event.ctrlKey ? 1 : Math.max(1, Math.round(Math.min(width, height) / 100));
    const dx = { ArrowLeft: -step, ArrowRight: step }[event.key] ?? 0, dy = { ArrowUp: -step, ArrowDown: step }[event.key] ?? 0;
    one.box = event.shiftKey ? this.sized(one.box, 2, 3, one.box[2] + dx, one.box[3] + dy) : this.moved(one.box, dx, dy);
    this.changed();
  }

  moved([x1, y1, x2, y2], dx, dy) {
    const { width, height } = this.stage.size;
    const x = Math.min(Math.max(dx, -x1), width - x2), y = Math.min(Math.max(dy, -y1), height - y2);
    return [x1 + x, y1 + y, x2 + x, y2 + y];
  }

  sized(box, i, j, x, y) {
    const { width, height } = this.stage.size;
    const sized = [...box];
    sized[i] = i === 0 ? Math.min(Math.max(x, 0), box[2] - LEAST) : Math.max(Math.min(x, width), box[0] + LEAST);
    sized[j] = j === 1 ? Math.min(Math.max(y, 0), box[3] - LEAST) : Math.max(Math.min(y, height), box[1] + LEAST);
    return sized;
  }

  /** A pointer went down: what its moves do. */
  press(event) {
    const at = this.stage.place(event);
    event.preventDefault();
    const corner = this.cornerAt(at);
    if (corner) return this.follow(([i, j], { x, y }) => this.sized(this.boxes[this.chosen].box, i, j, x, y), corner);
    const n = this.boxes.findLastIndex(({ box: [x1, y1, x2, y2] }) => at.x >= x1 && at.x <= x2 && at.y >= y1 && at.y <= y2);
    // Inside a chosen box it moves; elsewhere a new one is drawn, or the one that was hit is chosen.
    if (n >= 0 && !event.shiftKey) {
      this.chosen = n;
      this.draw(true);
      const { box } = this.boxes[n];
      return this.follow((_, { x, y }) => this.moved(box, x - at.x, y - at.y));
    }
    return this.drawn(at);
  }

  drawn(at) {
    let begun = false;
    return (event) => {
      const { x, y } = this.stage.place(event);
      if (!begun && (Math.abs(x - at.x) < LEAST || Math.abs(y - at.y) < LEAST)) return;
      const box = [Math.min(at.x, x), Math.min(at.y, y), Math.max(at.x, x, Math.min(at.x, x) + LEAST), Math.max(at.y, y, Math.min(at.y, y) + LEAST)];
      if (begun) this.boxes[this.chosen].box = box;
      else this.chosen = this.boxes.push({ class: this.name, box }) - 1;
      begun = true;
      this.draw(true);
    };
  }

  follow(shape, extra) {
    return (event) => {
      this.boxes[this.chosen].box = shape(extra, this.stage.place(event));
      this.draw(true);
    };
  }

  cornerAt({ x, y }) {
    const one = this.boxes[this.chosen];
    const near = HANDLE / this.stage.scale;
    return one && CORNERS.find(([i, j]) => Math.abs(one.box[i] - x) < near && Math.abs(one.box[j] - y) < near);
  }
}
