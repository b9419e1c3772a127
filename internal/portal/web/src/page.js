// What the pages that make or open keys have in common: how they show what they
// do, what failed, and the file that comes out.

export const page = (id) => document.getElementById(id);

// Failure is one that the page has a text for, by its kind.
export class Failure extends Error {
  constructor(kind, detail = "") {
    super(kind);
    this.kind = kind;
    this.detail = detail;
  }
}

// ask fetches JSON of the server's.
export async function ask(address, what = {}) {
  const answer = await fetch(address, { ...what, headers: { Accept: "application/json", ...what.headers } })
    .catch(() => { throw new Failure("network"); });
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Failure("refused", body.detail ?? "");
  return body;
}

// step marks the steps before name as done and name as under way, and lets the
// browser paint that: what follows may keep it busy for a second.
export async function step(name) {
  let state = "done";
  for (const item of page("progress").querySelectorAll("[data-step]")) {
    if (item.dataset.step === name) state = "now";
    item.dataset.state = state;
    if (state === "now") {
      item.setAttribute("aria-current", "step");
      page("step").textContent = item.textContent;
      state = "next";
    } else {
      item.removeAttribute("aria-current");
    }
  }
  // A timer beside the frame: a page in the background paints no frames.
  await new Promise((resolve) => { requestAnimationFrame(() => setTimeout(resolve)); setTimeout(resolve, 100); });
}

// show shows these parts of the page and hides the others.
export function show(form, ...ids) {
  for (const id of ["intro", form, "progress", "failure", "result"]) page(id).hidden = !ids.includes(id);
}

// offer shows the file and, where it was made here, its passphrase.
export function offer(form, file, name, generated) {
  window.addEventListener("beforeunload", keepOpen);
  page("generated").hidden = generated === "";
  page("own").hidden = generated !== "";
  page("generated-passphrase").textContent = generated;
  const link = page("download");
  link.href = URL.createObjectURL(new Blob([file], { type: "application/x-pkcs12" }));
  link.download = name.replace(/[^\p{L}\p{N}@._+-]/gu, "_");
  link.addEventListener("click", () => {
    window.removeEventListener("beforeunload", keepOpen);
    page("leave").hidden = true;
    page("next").hidden = false;
  });
  show(form, "result");
  page("result-heading").focus();
  return link;
}

// keepOpen makes the browser ask before the page, and with it the only copy of
// the private key, is gone.
function keepOpen(event) {
  event.preventDefault();
}

// fail says what went wrong and lets the person try again.
export function fail(form, error) {
  const kind = error instanceof Failure ? error.kind : "unexpected";
  for (const text of page("failure").querySelectorAll("[data-failure]")) text.hidden = text.dataset.failure !== kind;
  const detail = error instanceof Failure ? error.detail : String(error);
  page("failure-detail").textContent = detail;
  page("failure-detail").hidden = detail === "";
  show(form, "intro", "failure", form);
  page("failure").focus();
  page("failure").scrollIntoView({ block: "center" });
}

// secure tells whether the browser gives WebCrypto to the page, and says so where
// it does not: it does to secure contexts only, https or loopback.
export function secure(form) {
  if (globalThis.crypto?.subtle) return true;
  fail(form, new Failure("insecure"));
  show(form, "intro", "failure");
  return false;
}
