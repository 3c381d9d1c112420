// One press is one action, for one picture.
const TYPING = "input:not([type=checkbox]), textarea, select, [contenteditable]";

/**
 * Calls `act(name, event)` for a press of a key in `names()` ({key: name}); not while somebody types or a dialog is open, not
 * for a key that is held down or was not let go since. `enabled(name)` tells whether single keys may do that.
 */
export function listen(names, act, enabled) {
  const down = new Set();
  document.addEventListener("keyup", (event) => down.delete(event.code));
  addEventListener("blur", () => down.clear());
  document.addEventListener("keydown", (event) => {
    const held = event.repeat || down.has(event.code);
    down.add(event.code);
    const { target } = event;
    // A held Enter would click a button again and again.
    if (held && target.closest?.("#desk button") && ["Enter", " "].includes(event.key)) return event.preventDefault();
    if (event.altKey || event.metaKey || target.closest?.(TYPING) || document.querySelector("dialog[open]")) return;
    if (event.key === "Enter" && target.closest?.("button, a, summary, input")) return;
    const arrow = event.key.startsWith("Arrow");
    if (event.ctrlKey && !arrow) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (event.shiftKey && !arrow && !["?", "+"].includes(key)) return;
    const name = names()[key];
    if (name === undefined || !enabled(key)) return;
    event.preventDefault();
    if (held && !arrow) return;
    act(name, event);
  });
}
