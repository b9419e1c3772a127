// The page of one's own kept keys: opens what the recovery officers released with
// the person's present file, and packs all of it into one new file. The officers'
// shares are encrypted to the person, so nothing but this page can put the keys
// together; what is sent to the server is the request for them.

import { same, toHex } from "./der.js";
import { Unreadable } from "./envelope.js";
import { openFile } from "./former.js";
import { ask, Failure, fail, offer, page, secure, show, step } from "./page.js";
import { generatedIterations, generatePassphrase } from "./passphrase.js";
import { makePKCS12 } from "./pkcs12.js";
import { openBundle } from "./unseal.js";

const form = page("recover");

// The requests that wait to be picked up, with the SHA-256 of the certificate
// that each is released to.
const waiting = [...form.querySelectorAll("[data-request]")].map(({ dataset }) => dataset);

async function recover() {
  if (page("file").files.length === 0) throw new Failure("nofile");
  show("recover", "intro", "progress");
  await step("open");
  const { identities, others } = await openFile(page("file"), page("file-passphrase"));
  const names = await Promise.all(identities.map(async ({ certificate }) => toHex(new Uint8Array(await crypto.subtle.digest("SHA-256", certificate)))));
  const ours = waiting.filter(({ recipient }) => names.includes(recipient));
  if (ours.length === 0) throw new Failure("notfor");
  await step("fetch");
  const found = [...identities];
  for (const { organization, request } of ours) {
    const body = new URLSearchParams({ organization, request });
    for (const one of await opened(await ask(form.action, { method: "POST", body }), identities)) {
      if (!found.some(({ certificate }) => same(certificate, one.certificate))) found.push(one);
    }
  }
  await step("file");
  const passphrase = generatePassphrase();
  const file = await makePKCS12({
    identities: found.map((one) => ({ ...one, chain: others })), label: form.dataset.label, passphrase, iterations: generatedIterations,
  });
  await step("done");
  offer("recover", file, `${form.dataset.label}.p12`, passphrase);
}

async function opened(bundle, identities) {
  try {
    return await openBundle(bundle, identities);
  } catch (error) {
    throw error instanceof Unreadable ? new Failure("unreadable") : error;
  }
}

if (secure("recover")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    recover().catch((error) => fail("recover", error));
  });
  show("recover", "intro", "recover");
}
