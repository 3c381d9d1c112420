// What came of a test message, where it was asked for.
document.addEventListener("api:done", (event) => {
  const { delivered, reason, status, detail, elapsed_ms: took } = event.detail;
  if (delivered === undefined) return;
  const place = document.getElementById("trial");
  place.hidden = false;
  place.classList.toggle("fault", !delivered);
  const answer = status ? `, answer ${status}` : "";
  place.textContent = delivered
    ? `The receiver took the test message${answer}, after ${Math.round(took)} ms.`
    : `The test message was not taken: ${reason}${answer}. ${detail}`;
});
