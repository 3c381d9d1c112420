// What the review desk asks of the server.
import { call } from "./api.js";

// Decisions, and what is given back, are sent even while the page is being left.
const LEAVING = { keepalive: true };

/** Takes up to `count` items in hand. What is in hand already comes along, its lease begun anew. */
export async function takeItems(count, facility) {
  const where = facility ? `&facility=${encodeURIComponent(facility)}` : "";
  return (await call("POST", `/v1/reviews/next?n=${count}${where}`)).items;
}

/** Resolves with the review; see `isUnsaved` and `isLate` for what its errors mean. */
export function decide(item, body) {
  const { skip, ...rest } = body;
  return call("POST", `/v1/reviews/${item.id}/${skip ? "skip" : "decide"}`, { version: item.version, ...rest }, LEAVING);
}

export function takeBack(review) {
  return call("POST", `/v1/reviews/${review.id}/undo`);
}

/** For others to have at once; their leases end anyway. */
export function release(items) {
  return Promise.allSettled(items.map((item) => call("POST", `/v1/reviews/${item.id}/release`, undefined, LEAVING)));
}

/** Whether nobody knows if it was saved: the very same request may be sent again. */
export const isUnsaved = (error) => error.status === undefined || error.status >= 500 || error.status === 429;
/** Whether somebody else was first, or the item is not there any more. */
export const isLate = (error) => error.status === 404 || error.problem?.type?.endsWith("/review-conflict");

/** The picture of an item, decoded, with the digest that came with these very bytes: it is what a decision names. */
export async function loadPicture(item) {
  let answer;
  try {
    answer = await fetch(`${item.content}?preview=large`, { cache: "no-store", signal: AbortSignal.timeout(30_000) });
  } catch {
    throw new Error("The picture did not come: Framegate cannot be reached.");
  }
  if (!answer.ok) throw new Error(`The picture did not come: ${(await problemOf(answer)) || `error ${answer.status}`}.`);
  const sha256 = answer.headers.get("X-Content-SHA256");
  if (!/^[0-9a-f]{64}$/.test(sha256 ?? "")) throw new Error("The picture came without its digest.");
  const url = URL.createObjectURL(await answer.blob());
  const image = new Image();
  image.alt = `Image of ${item.camera}`;
  image.draggable = false;
  image.src = url;
  try {
    await image.decode();
  } catch {
    URL.revokeObjectURL(url);
    throw new Error("The picture cannot be shown: its bytes are damaged.");
  }
  return { image, sha256, url };
}

/** What may be known of an item before deciding: an element for people, and data for the script. */
export async function loadFacts(item) {
  let answer;
  try {
    answer = await fetch(`/review/items/${item.id}`, { signal: AbortSignal.timeout(30_000) });
  } catch {
    throw new Error("What is known of the image did not come: Framegate cannot be reached.");
  }
  const piece = document.createElement("template");
  piece.innerHTML = answer.ok ? await answer.text() : "";
  const element = piece.content.querySelector("[data-item]");
  if (!element) throw new Error(`What is known of the image did not come: error ${answer.status}.`);
  return { element, spoken: element.dataset.spoken, ...JSON.parse(element.dataset.item) };
}

async function problemOf(answer) {
  try {
    return (await answer.json()).title;
  } catch {
    return "";
  }
}
