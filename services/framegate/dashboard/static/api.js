// Forms that call the API as the person who is logged in:
//   <form data-api="POST /v1/…">      fields become a JSON body; empty ones are left out
//     data-type="number|percent|boolean|list|json|maybe" on a field    how its text is read (list: by commas and spaces;
//                            maybe: "none" is null); a field `roles.main` becomes {"roles": {"main": …}}
//     data-confirm="Really {name}?"    asks first, with what stands in the fields that are named
//     data-then="/place" | "stay"      where to go when it is done; without it the page is loaded again
//     data-shows="key"                 a member of the answer that is shown once, to be copied, before going on
const csrf = document.querySelector('meta[name="csrf"]')?.content ?? "";

/** Calls the API. Throws an Error with what the problem document says; `error.problem` is the document. `more`: of fetch. */
export async function call(method, path, body, more = {}) {
  const headers = { Accept: "application/json", "X-CSRF-Token": csrf };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, {
      method, headers, body: body === undefined ? undefined : JSON.stringify(body), signal: AbortSignal.timeout(30_000), ...more,
    });
  } catch (error) {
    throw new Error(error.name === "TimeoutError" ? "No answer within 30 s. Try again." : "Framegate cannot be reached. Try again.");
  }
  const text = await answer.text();
  const document_ = text ? JSON.parse(text) : {};
  if (answer.ok) return document_;
  if (answer.status === 401) location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
  const details = (document_.errors ?? []).map((each) => `${each.name}: ${each.detail}`).join("; ");
  const error = new Error([document_.title, document_.detail, details].filter(Boolean).join(". ") || `Error ${answer.status}`);
  error.problem = document_;
  error.status = answer.status;
  throw error;
}

const READ = {
  number: (text) => Number(text),
  percent: (text) => Number(text) / 100,
  boolean: (text) => text === "true" || text === "on",
  list: (text) => text.split(/[\s,]+/).filter(Boolean),
  json: (text) => JSON.parse(text),
  maybe: (text) => (text === "none" ? null : text),
};

function bodyOf(form) {
  const body = {};
  for (const field of form.elements) {
    if (!field.name || field.disabled || field.value === "") continue;
    if (field.type === "checkbox" && field.dataset.type === "list") {
      body[field.name] ??= []; // none of them is an answer, too
      if (field.checked) body[field.name].push(field.value);
      continue;
    }
    if ((field.type === "checkbox" || field.type === "radio") && !field.checked) continue;
    const value = (READ[field.dataset.type] ?? String)(field.value);
    const dot = field.name.indexOf(".");
    if (dot < 0) body[field.name] = value;
    else (body[field.name.slice(0, dot)] ??= {})[field.name.slice(dot + 1)] = value;
  }
  return Object.keys(body).length ? body : undefined;
}

/** Asks a question in a dialog; true for yes. */
export function ask(question, yes = "Yes, do it") {
  return dialogue(question, [["Cancel", false, "second"], [yes, true, ""]]);
}

/** Shows a text once, to be copied. */
export function reveal(text) {
  return dialogue("Shown once: copy it now.", [["I have it", true, ""]], text);
}

function dialogue(words, choices, secret) {
  const dialog = document.createElement("dialog");
  const said = document.createElement("p");
  said.textContent = words;
  said.id = "dialog-words";
  dialog.setAttribute("aria-labelledby", said.id);
  dialog.append(said);
  if (secret) {
    const code = document.createElement("pre");
    code.textContent = secret;
    code.tabIndex = 0;
    dialog.append(code);
  }
  const row = document.createElement("div");
  row.className = "actions";
  if (secret && navigator.clipboard) {
    const copy = document.createElement("button");
    copy.className = "second";
    copy.textContent = "Copy";
    copy.addEventListener("click", async () => {
      await navigator.clipboard.writeText(secret);
      copy.textContent = "Copied";
    });
    row.append(copy);
  }
  dialog.append(row);
  document.body.append(dialog);
  return new Promise((resolve) => {
    const close = (value) => { dialog.remove(); resolve(value); };
    for (const [label, value, kind] of choices) {
      const button = document.createElement("button");
      button.textContent = label;
      button.className = kind;
      button.addEventListener("click", () => close(value));
      row.append(button);
    }
    dialog.addEventListener("cancel", () => close(false));
    dialog.showModal();
  });
}

function complain(form, words) {
  let place = form.querySelector("[data-fault]");
  if (!place) {
    place = document.createElement("p");
    place.className = "fault";
    place.dataset.fault = "";
    place.setAttribute("role", "alert");
    form.append(place);
  }
  place.hidden = !words;
  place.textContent = words;
}

async function send(form, button) {
  const [method, path] = form.dataset.api.split(" ");
  complain(form, "");
  let body;
  try {
    body = bodyOf(form);
  } catch {
    return complain(form, "This is not JSON.");
  }
  const question = form.dataset.confirm?.replace(/\{(\w+)\}/g, (said, name) => form.elements[name]?.value ?? said);
  if (question && !(await ask(question))) return;
  button && (button.disabled = true);
  try {
    const answer = await call(method, path, body);
    if (form.dataset.shows && answer[form.dataset.shows]) await reveal(answer[form.dataset.shows]);
    form.dispatchEvent(new CustomEvent("api:done", { bubbles: true, detail: answer }));
    if (form.dataset.then === "stay") return;
    form.dataset.then ? location.assign(form.dataset.then) : location.reload();
  } catch (error) {
    complain(form, error.message);
  } finally {
    button && (button.disabled = false);
  }
}

document.addEventListener("submit", (event) => {
  const form = event.target.closest("form[data-api]");
  if (!form) return;
  event.preventDefault();
  send(form, event.submitter);
});
