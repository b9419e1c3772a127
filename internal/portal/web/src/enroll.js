// The key page: makes the key pair, sends the certification request, packs the
// answer with the private key into a PKCS #12 file and offers it. What is sent
// to the server is the request alone; where the organization has the encryption
// key kept, that key goes along, sealed to the recovery officers.

import { ask, Failure, fail, offer, page, secure, show, step } from "./page.js";
import { generateKeyPair } from "./keypair.js";
import { makeRequest } from "./request.js";
import { toBase64 } from "./der.js";
import { Unreadable } from "./envelope.js";
import { formerKeys } from "./former.js";
import { seal } from "./seal.js";
import { makePKCS12 } from "./pkcs12.js";
import { decodePEM } from "./pem.js";
import { chosenIterations, generatedIterations, generatePassphrase, minimumLength, strength } from "./passphrase.js";

const form = page("enroll");
const { email, label } = form.dataset;

// One key for each of the orders: an organization may have asked for a pair, one
// to sign and one to encrypt. What was made so far stays here until the page is
// closed, so that pressing the button again after an interruption goes on with
// the same keys.
const made = Array.from({ length: Number(form.dataset.orders) }, () => ({ kind: "", keys: null, issued: null }));

// The orders whose keys are kept.
const kept = form.dataset.kept.split(" ");

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
  show("enroll", "intro", "progress");
  const former = await formerKeys(page("former-file"), page("former-passphrase"));
  await step("key");
  for (const one of made) await makeKeys(one, form.elements.kind.value);
  await step("certificate");
  for (const [order, one] of made.entries()) one.issued ??= await send(one, order);
  await step("file");
  const now = await Promise.all(made.map(async ({ keys, issued }) => ({
    pkcs8: new Uint8Array(await crypto.subtle.exportKey("pkcs8", keys.privateKey)),
    certificate: decodePEM(issued.certificate),
    chain: issued.chain.map(decodePEM),
  })));
  const file = await makePKCS12({ identities: [...now, ...former], label, passphrase, iterations });
  await step("done");
  const link = offer("enroll", file, `${email}.p12`, form.elements.mode.value === "own" ? "" : passphrase);
  if (form.dataset.saves === "true") link.click(); // whoever was invited presses one button
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
  if (!secure("enroll")) return;
  form.addEventListener("change", () => { showMode(); showKind(); });
  page("passphrase").addEventListener("input", showStrength);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    enroll().catch((error) => fail("enroll", error));
  });
  showMode();
  showKind();
  showStrength();
  show("enroll", "intro", "enroll");
}

start();
