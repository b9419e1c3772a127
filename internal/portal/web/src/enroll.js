// The key page: makes the key pair, sends the certification request, packs the
// answer with the private key into a PKCS #12 file and offers it. What is sent
// to the server is the request alone; where the organization has the encryption
// key kept, that key goes along, sealed to the recovery officers.

import { generateKeyPair } from "./keypair.js";
import { makeRequest } from "./request.js";
import { toBase64 } from "./der.js";
import { Unreadable } from "./envelope.js";
import { seal } from "./seal.js";
import { makePKCS12 } from "./pkcs12.js";
import { decodePEM } from "./pem.js";
import { chosenIterations, generatedIterations, generatePassphrase, minimumLength, strength } from "./passphrase.js";

const page = (id) => document.getElementById(id);
const form = page("enroll");
const { email, label } = form.dataset;

// One key for each of the orders: an organization may have asked for a pair, one
// to sign and one to encrypt. What was made so far stays here until the page is
// closed, so that pressing the button again after an interruption goes on with
// the same keys.
const made = Array.from({ length: Number(form.dataset.orders) }, () => ({ kind: "", keys: null, issued: null }));

// The orders whose keys are kept.
const kept = form.dataset.kept.split(" ");

class Failure extends Error {
  constructor(kind, detail = "") {
    super(kind);
    this.kind = kind;
    this.detail = detail;
  }
}

function chosenPassphrase() {
  const { value } = page("passphrase");
  if (Array.from(value).length < minimumLength) throw new Failure("short");
  if (value !== page("passphrase-again").value) throw new Failure("differ");
  return { passphrase: value, iterations: chosenIterations };
}

function passphraseOfForm() {
  if (form.elements.mode.value === "own") return chosenPassphrase();
  return { passphrase: generatePassphrase(), iterations: generatedIterations };
}

async function makeKeys(one, kind) {
  if (one.kind !== kind) Object.assign(one, { kind, keys: await generateKeyPair(kind), issued: null });
}

async function ask(address, what = {}) {
  const answer = await fetch(address, { ...what, headers: { Accept: "application/json", ...what.headers } })
    .catch(() => { throw new Failure("network"); });
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Failure("refused", body.detail ?? "");
  return body;
}

async function send({ keys }, order) {
  const request = await makeRequest(keys, email);
  const address = `${form.action}?order=${order}`;
  if (!kept.includes(String(order))) {
    return ask(address, { method: "POST", headers: { "Content-Type": "application/pkcs10" }, body: request });
  }
  const escrow = await sealed(keys, await ask(`${form.action}/keepers?order=${order}`));
  const body = JSON.stringify({ request: toBase64(new Uint8Array(request)), escrow });
  return ask(address, { method: "POST", headers: { "Content-Type": "application/json" }, body });
}

async function sealed(keys, keepers) {
  try {
    return await seal(keys, keepers);
  } catch (error) {
    throw error instanceof Unreadable ? new Failure("officers", keepers.officers.map(({ account }) => account).join(", ")) : error;
  }
}

async function enroll() {
  const { passphrase, iterations } = passphraseOfForm();
  show("intro", "progress");
  await step("key");
  for (const one of made) await makeKeys(one, form.elements.kind.value);
  await step("certificate");
  for (const [order, one] of made.entries()) one.issued ??= await send(one, order);
  await step("file");
  const file = await makePKCS12({
    identities: made.map(({ keys, issued }) => ({
      privateKey: keys.privateKey,
      certificate: decodePEM(issued.certificate),
      chain: issued.chain.map(decodePEM),
    })),
    label,
    passphrase,
    iterations,
  });
  await step("done");
  offer(file, form.elements.mode.value === "own" ? "" : passphrase);
}

// step marks the steps before name as done and name as under way, and lets the
// browser paint that: what follows may keep it busy for a second.
async function step(name) {
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

function show(...ids) {
  for (const id of ["intro", "enroll", "progress", "failure", "result"]) page(id).hidden = !ids.includes(id);
}

function offer(file, generated) {
  window.addEventListener("beforeunload", keepOpen);
  page("generated").hidden = generated === "";
  page("own").hidden = generated !== "";
  page("generated-passphrase").textContent = generated;
  const link = page("download");
  link.href = URL.createObjectURL(new Blob([file], { type: "application/x-pkcs12" }));
  link.download = `${email.replace(/[^\p{L}\p{N}@._+-]/gu, "_")}.p12`;
  link.addEventListener("click", () => {
    window.removeEventListener("beforeunload", keepOpen);
    page("leave").hidden = true;
    page("next").hidden = false;
  });
  show("result");
  page("result-heading").focus();
  if (form.dataset.saves === "true") link.click(); // whoever was invited presses one button
}

// keepOpen makes the browser ask before the page, and with it the only copy of
// the private key, is gone.
function keepOpen(event) {
  event.preventDefault();
}

function fail(error) {
  const kind = error instanceof Failure ? error.kind : "unexpected";
  for (const text of page("failure").querySelectorAll("[data-failure]")) text.hidden = text.dataset.failure !== kind;
  const detail = error instanceof Failure ? error.detail : String(error);
  page("failure-detail").textContent = detail;
  page("failure-detail").hidden = detail === "";
  show("intro", "failure", "enroll");
  page("failure").focus();
  page("failure").scrollIntoView({ block: "center" });
}

function showMode() {
  const own = form.elements.mode.value === "own";
  page("own-passphrase").hidden = !own;
  for (const input of page("own-passphrase").querySelectorAll("input")) input.disabled = !own;
}

function showKind() {
  page("kind-warning").hidden = !form.elements.kind.value.startsWith("p-");
}

function showStrength() {
  const now = strength(page("passphrase").value, [email, label]);
  for (const text of page("strength").querySelectorAll("[data-strength]")) text.hidden = text.dataset.strength !== now;
  page("strength").dataset.strength = page("passphrase").value === "" ? "" : now;
}

function start() {
  // Browsers give WebCrypto to secure contexts only: https, or loopback.
  if (!globalThis.crypto?.subtle) {
    fail(new Failure("insecure"));
    show("intro", "failure");
    return;
  }
  form.addEventListener("change", () => { showMode(); showKind(); });
  page("passphrase").addEventListener("input", showStrength);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    enroll().catch(fail);
  });
  showMode();
  showKind();
  showStrength();
  show("intro", "enroll");
}

start();
