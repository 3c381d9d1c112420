// The picture, as large as there is room, with boxes over it. All boxes are in pixels of the upright original.
const SVG = "http://www.w3.org/2000/svg";
const MOST = 8; // screen pixels for one of the picture

export function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

const frameOf = ([x1, y1, x2, y2]) => ({ x: x1, y: y1, width: x2 - x1, height: y2 - y1 });

/** A box with its words, twice under each other so that it stands out on any picture. */
export function boxShape(box, words, kind = "") {
  const frame = frameOf(box);
  const shape = svg("g", { class: `box ${kind}` }, svg("rect", { class: "under", ...frame }), svg("rect", frame));
  if (words) shape.append(svg("text", { x: frame.x, y: frame.y, dy: frame.y < 40 ? "1.2em" : "-0.35em", dx: "0.15em" }, words));
  return shape;
}

/** A picture of its own: `region` of the image at `url`, with boxes. */
export function crop(url, size, region, boxes, marked) {
  const [x1, y1, x2, y2] = region ?? [0, 0, size.width, size.height];
  const root = svg("svg", { viewBox: `${x1} ${y1} ${x2 - x1} ${y2 - y1}`, role: "img", class: "overlay" });
  root.append(svg("image", { href: url, width: size.width, height: size.height }));
  for (const one of boxes) root.append(boxShape(one.box, "", "damage"));
  if (marked) root.append(boxShape(marked, "", "region"));
  return root;
}

export class Stage {
  constructor(root) {
    this.root = root;
    this.overlay = svg("svg", { class: "overlay", "aria-hidden": "true" });
    this.image = null;
    this.size = { width: 1, height: 1 };
    this.editor = null; // takes the pointer while boxes are redrawn
    new ResizeObserver(() => (this.fitted ? this.fit() : this.layout())).observe(root);
    root.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    root.addEventListener("pointerdown", (event) => this.press(event));
  }

  /** `image` is decoded; it is on the screen with the next frame. */
  show(image, { width, height }) {
    this.size = { width, height };
    this.clear();
    this.image = image;
    this.root.prepend(image, this.overlay);
    this.overlay.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.fit();
  }

  clear() {
    this.image?.remove();
    this.overlay.remove();
    this.overlay.replaceChildren();
    this.image = null;
  }

  draw(shapes) {
    this.overlay.replaceChildren(...shapes);
  }

  fit() {
    const { clientWidth, clientHeight } = this.root;
    this.scale = Math.min(clientWidth / this.size.width, clientHeight / this.size.height);
    this.x = (clientWidth - this.size.width * this.scale) / 2;
    this.y = (clientHeight - this.size.height * this.scale) / 2;
    this.least = this.scale;
    this.layout();
    this.fitted = true;
  }

  /** Around a place of the stage, else its middle. */
  zoom(factor, at = { x: this.root.clientWidth / 2, y: this.root.clientHeight / 2 }) {
    const scale = Math.min(Math.max(this.scale * factor, this.least), Math.max(MOST, this.least));
    if (scale <= this.least) return this.fit();
    this.x = at.x - ((at.x - this.x) * scale) / this.scale;
    this.y = at.y - ((at.y - this.y) * scale) / this.scale;
    this.scale = scale;
    this.layout();
  }

  pan(dx, dy) {
    if (this.fitted) return;
    this.x += dx;
    this.y += dy;
    this.layout();
  }

  layout() {
    if (!this.image) return;
    const { clientWidth, clientHeight } = this.root;
    const width = this.size.width * this.scale, height = this.size.height * this.scale;
    // Some of it always stays in sight.
    const margin = 60;
    this.x = Math.min(Math.max(this.x, margin - width), clientWidth - margin);
    this.y = Math.min(Math.max(this.y, margin - height), clientHeight - margin);
    this.fitted = false;
    for (const { style } of [this.image, this.overlay]) {
      Object.assign(style, { left: `${this.x}px`, top: `${this.y}px`, width: `${width}px`, height: `${height}px` });
    }
    this.overlay.style.setProperty("--pixel", `${1 / this.scale}px`); // one of the screen
  }

  /** Where an event is in the picture. */
  place(event) {
    const { left, top } = this.root.getBoundingClientRect();
    const within = (value, most) => Math.min(Math.max(value, 0), most);
    return {
      x: within((event.clientX - left - this.x) / this.scale, this.size.width),
      y: within((event.clientY - top - this.y) / this.scale, this.size.height),
    };
  }

  /** What of the picture is in sight: x1, y1, x2, y2. */
  get sight() {
    const { left, top, right, bottom } = this.root.getBoundingClientRect();
    const a = this.place({ clientX: left, clientY: top }), b = this.place({ clientX: right, clientY: bottom });
    return [a.x, a.y, b.x, b.y];
  }

  wheel(event) {
    if (!this.image) return;
    event.preventDefault();
    const { left, top } = this.root.getBoundingClientRect();
    this.zoom(Math.exp(-event.deltaY / 400), { x: event.clientX - left, y: event.clientY - top });
  }

  press(event) {
    if (!this.image || event.button !== 0 || event.target.closest("button")) return;
    const follow = this.editor?.press(event, this) ?? ((moved) => this.pan(moved.movementX, moved.movementY));
    this.root.setPointerCapture(event.pointerId);
    const end = new AbortController();
    this.root.addEventListener("pointermove", follow, end);
    for (const name of ["pointerup", "pointercancel"]) this.root.addEventListener(name, () => end.abort(), { once: true });
  }
}
