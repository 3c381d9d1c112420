// The states of the desk. It knows no element of the page: `view` shows, and is told everything.
//
//   loading   the picture on the screen is not the item's yet: nothing can be decided
//   ready     the item's picture was painted: a decision is for it
//   failed    the picture did not come: retry or skip
//   unsaved   nobody knows whether a decision was saved: its picture is back; the same is sent again, or it is dropped
//   empty     nothing waits
//   away      nobody was there, and everything was given back
import { decide, isLate, isUnsaved, loadFacts, loadPicture, release, takeBack, takeItems } from "./review-api.js";

const IN_HAND = 4; // on the screen, and the next ones, which are loaded and decoded meanwhile
const ASK_AGAIN_MS = 15_000;
const RENEW_MS = 60_000; // while somebody is there
const WARN_MS = 60_000;

const painted = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));

/** An item in hand. `boxes`: redrawn ones; null: what was found stands. */
class Entry {
  constructor(item) {
    Object.assign(this, { item, boxes: null, note: "", picture: null, facts: null });
    this.load();
  }

  load() {
    this.loaded = Promise.all([
      this.picture ?? loadPicture(this.item), this.facts ?? loadFacts(this.item),
    ]).then(([picture, facts]) => Object.assign(this, { picture, facts }));
    this.loaded.catch(() => {}); // whoever shows it is told
  }

  /** Its picture, or what is known of it, is asked for again. */
  reload(...parts) {
    for (const part of parts) this[part] = null;
    this.load();
  }

  forget() {
    this.loaded.then(({ picture }) => URL.revokeObjectURL(picture.url), () => {});
  }
}

export class Desk {
  constructor(view, { facility, skew }) {
    Object.assign(this, { view, facility, skew });
    Object.assign(this, { phase: "loading", queue: [], sending: null, unsaved: null, said: [], decided: new Map() });
    Object.assign(this, { shows: 0, taking: false, again: false, undoing: false, first: null, askedAt: 0, triedAt: 0, leaseMs: 0, active: performance.now() });
  }

  get entry() { return this.queue[0] ?? null; }
  get now() { return Date.now() + this.skew; }
  /** Whether a key may decide: the picture was painted, and what was decided before is saved. */
  get open() { return this.phase === "ready" && !this.sending && !this.undoing; }

  /** How many are in hand, also those that are not in the queue now. */
  get held() { return this.queue.length + (this.first ? 1 : 0) + (this.sending ? 1 : 0); }

  async start() {
    this.set("loading");
    await this.take();
  }

  set(phase, why) {
    this.phase = phase;
    this.view.phase(phase, this.entry, why);
  }

  /** Has `IN_HAND` items in hand, all with a new lease. */
  async take() {
    if (this.taking) return void (this.again = true);
    this.taking = true;
    try {
      const items = await takeItems(Math.max(IN_HAND, this.held), this.facility);
      this.askedAt = performance.now();
      if (items.length) this.leaseMs = Math.min(...items.map((item) => Date.parse(item.leased_until) - this.now));
      for (const item of items) this.merge(item);
      this.view.fault("take", null);
      if (!this.queue.length) this.set("empty");
      else if (["loading", "empty", "away"].includes(this.phase) && this.shown !== this.entry) this.present();
    } catch (error) {
      this.view.fault("take", error.message);
    } finally {
      this.triedAt = performance.now();
      this.taking = false;
    }
    if (this.again) {
      this.again = false;
      await this.take();
    }
  }

  merge(item) {
    // What was asked before a decision may be answered after it.
    if ((this.decided.get(item.id) ?? 0) >= item.version || this.sending?.entry.item.id === item.id) return;
    const known = this.queue.find((entry) => entry.item.id === item.id);
    if (known) known.item = item;
    else if (this.first?.item.id === item.id) {
      this.queue.unshift(Object.assign(this.first, { item }));
      this.first.reload("facts");
      this.first = null;
      this.present();
    } else this.queue.push(new Entry(item));
  }

  /** Shows the first item. `since`: when the key was pressed that led to it. */
  async present(since) {
    const show = ++this.shows;
    const { entry } = this;
    this.shown = entry;
    if (!entry) {
      this.set("loading");
      return this.take();
    }
    this.set("loading");
    try {
      await entry.loaded;
      await entry.picture.image.decode(); // again: what was decoded ahead may have been dropped meanwhile
    } catch (error) {
      if (show === this.shows) this.set("failed", error.message || "The picture cannot be shown.");
      return;
    }
    if (show !== this.shows) return;
    this.view.show(entry);
    await painted();
    if (show !== this.shows) return;
    this.set(this.unsaved ? "unsaved" : "ready");
    if (since !== undefined) performance.measure("review-next", { start: since, end: performance.now() });
  }

  retryPicture() {
    this.entry.reload("picture", "facts");
    this.present();
  }

  /** `body` as the API has it, with `skip: true` for a skip; `words` say it. False: not now. */
  decide(body, words, since) {
    const { entry } = this;
    if (!(this.open || (body.skip && this.phase === "failed" && !this.sending))) return false;
    const note = entry.note.trim() ? { note: entry.note.trim() } : {};
    const boxes = body.decision === "fail" && entry.boxes?.length ? { boxes: entry.boxes } : {};
    const shown = body.skip ? {} : { shown_sha256: entry.picture.sha256 };
    this.send({ entry, words: `${words} on ${entry.item.camera}`, body: { ...body, ...shown, ...boxes, ...note } }, since);
    return true;
  }

  async send(sending, since) {
    this.sending = sending;
    this.queue = this.queue.filter((entry) => entry !== sending.entry);
    this.view.said(`Saving: ${sending.words}`);
    this.present(since);
    try {
      const review = await decide(sending.entry.item, sending.body);
      this.sending = null;
      this.saved(sending, review);
    } catch (error) {
      this.sending = null;
      this.refused(sending, error);
    }
    if (!this.unsaved) this.take();
  }

  saved({ entry, words, body }, review) {
    this.decided.set(entry.item.id, review.version);
    this.view.said(words);
    this.view.decided(review);
    this.view.fault(entry.item.id, null);
    if (!body.skip) this.said.push({ entry, words, review, until: Date.parse(review.undo_until) });
    else entry.forget();
    for (const old of this.said.splice(0, Math.max(0, this.said.length - IN_HAND))) old.entry.forget();
    this.tick();
  }

  refused({ entry, words, body }, error) {
    if (isLate(error)) {
      this.decided.set(entry.item.id, entry.item.version);
      entry.forget();
      this.view.said("");
      return this.view.fault(entry.item.id, `Not saved: ${words} (image ${entry.item.id}). ${error.message}`);
    }
    // Nothing moves on: its picture comes back.
    this.queue.unshift(entry);
    if (isUnsaved(error)) this.unsaved = { entry, words, body };
    else {
      this.view.fault(entry.item.id, `Not saved: ${words} (image ${entry.item.id}). ${error.message}`);
      entry.reload("picture");
    }
    this.view.said("");
    this.present();
    if (this.unsaved) this.view.fault("unsaved", `Not saved: ${words} (image ${entry.item.id}). ${error.message}`, true);
  }

  /** Sends what could not be saved once more, the same. */
  retry() {
    if (!this.unsaved || this.phase !== "unsaved") return;
    const sending = this.unsaved;
    this.drop();
    this.send(sending);
  }

  /** Lets go of what could not be saved: it is decided anew. */
  drop() {
    this.unsaved = null;
    this.view.fault("unsaved", null);
    if (this.phase === "unsaved") this.set("ready");
  }

  get undoable() { return this.said.at(-1) ?? null; }

  async undo() {
    const last = this.undoable;
    if (!last || this.undoing || this.sending || this.unsaved) return;
    this.undoing = true;
    this.said.pop();
    try {
      await takeBack(last.review);
      this.first = last.entry;
      this.view.said(`Taken back: ${last.words}`);
    } catch (error) {
      if (isUnsaved(error)) this.said.push(last);
      this.view.fault(last.entry.item.id, `Not taken back: ${last.words}. ${error.message}`);
    } finally {
      this.undoing = false;
    }
    this.tick();
    await this.take();
  }

  /** Once a second: what time has ended, and whether anybody is there. */
  tick() {
    while (this.said.length && this.said[0].until <= this.now) this.said.shift().entry.forget();
    const last = this.undoable;
    this.view.undo(last && { words: last.words, seconds: Math.ceil((last.until - this.now) / 1000) });
    if (document.hidden) return this.lease(false);
    const since = performance.now() - this.triedAt;
    if (!this.queue.length && this.phase !== "away" && since > ASK_AGAIN_MS) this.take();
    this.lease(this.active > this.askedAt && since > Math.min(RENEW_MS, this.leaseMs / 4));
  }

  lease(renew) {
    if (!this.queue.length || this.phase === "away") return this.view.lease(null);
    if (renew) return void this.take();
    const left = this.leaseMs - (performance.now() - this.askedAt);
    this.view.lease(left < WARN_MS ? Math.max(0, Math.ceil(left / 1000)) : null);
    if (left <= 0 && !this.sending && !this.unsaved) this.goAway();
  }

  goAway() {
    this.letGo();
    this.set("away");
  }

  /** Gives everything back that is not decided. */
  letGo() {
    const entries = this.queue.filter((entry) => entry !== this.unsaved?.entry);
    this.queue = this.queue.filter((entry) => entry === this.unsaved?.entry);
    this.shown = null;
    this.shows += 1;
    entries.forEach((entry) => entry.forget());
    return release(entries.map((entry) => entry.item));
  }

  /** Somebody is there. */
  wake() {
    this.active = performance.now();
    if (this.view.warned) this.tick();
  }
}
