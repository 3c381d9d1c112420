// The page keeps itself current.
import { refresh, say } from "./refresh.js";

const EVERY_MS = 5_000;

async function go() {
  if (!document.hidden) {
    try {
      if (!(await refresh())) return say("off", "Your login has ended: reload to log in.");
      say("on", "Live, every 5 s");
    } catch {
      say("off", "Framegate cannot be reached: what you see is old. Trying again.");
    }
  }
  setTimeout(go, EVERY_MS);
}

say("on", "Live, every 5 s");
setTimeout(go, EVERY_MS);
