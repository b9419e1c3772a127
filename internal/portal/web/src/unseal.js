// Opens keys that recovery officers released: what `mailseal recovery open` does,
// in the browser.

import { fromBase64, same, toHex } from "./der.js";
import { certificateOf, openEnvelope, publicKeyOf } from "./envelope.js";
import { combine } from "./shamir.js";

// NotFor: none of the identities is the one that the keys were released to.
export class NotFor extends Error {}

// openBundle returns identities, each { pkcs8, certificate }, of the keys in a
// bundle; identities are those that the person has.
export async function openBundle(bundle, identities) {
  const recipient = fromBase64(bundle.recipient);
  const own = identities.find(({ certificate }) => same(certificate, recipient));
  if (!own) throw new NotFor();
  const opened = [];
  for (const key of bundle.keys) {
    const pkcs8 = await openKey(key, bundle.request, own);
    for (const certificate of key.certificates.map(fromBase64)) opened.push({ pkcs8, certificate });
  }
  return opened;
}

async function openKey({ key, sealed, threshold, shares, certificates }, request, own) {
  const values = [];
  for (const { position, envelope } of shares.slice(0, threshold)) {
    const content = JSON.parse(new TextDecoder().decode(await openEnvelope(fromBase64(envelope), own)));
    if (content.key !== key || content.position !== position || content.for !== request || content.origin) throw new Error("a share of another key, officer or request");
    values.push({ position, value: fromBase64(content.share) });
  }
  if (threshold < 2 || values.length < threshold) throw new Error("fewer shares than it takes");
  const pkcs8 = await openEnvelope(fromBase64(sealed), { kek: combine(values) });
  const spki = await publicKeyOf(pkcs8, certificateOf(fromBase64(certificates[0])).spki);
  if (toHex(new Uint8Array(await crypto.subtle.digest("SHA-256", spki))) !== key) throw new Error("another key than it was escrowed as");
  return pkcs8;
}
