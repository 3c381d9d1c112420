// The search form: its moments are in the viewer's zone here, and in UTC in the address.
const form = document.querySelector("[data-search]");
const moments = [...form.querySelectorAll('input[type="datetime-local"]')];
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

function local(at) {
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

for (const input of moments) {
  if (input.dataset.moment) input.value = local(new Date(input.dataset.moment));
  input.parentElement.querySelector("[data-zone]").textContent = `in ${zone}`;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const address = new URLSearchParams();
  for (const [name, value] of new FormData(form)) {
    const text = value.trim();
    if (!text) continue;
    const isMoment = moments.some((input) => input.name === name);
    address.set(name, isMoment ? new Date(text).toISOString().replace(".000Z", "Z") : text);
  }
  location.assign(`${form.action}?${address}`);
});
