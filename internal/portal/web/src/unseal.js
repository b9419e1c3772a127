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

// As many officers there are at most; that bounds the ways to choose among them.
const maxOfficers = 16;

async function openKey({ key, sealed, threshold, shares, certificates }, request, own) {
  if (shares.length > maxOfficers) throw new Error("more shares than there are officers");
  const values = [];
  let fault;
  for (const share of shares) { // one who gave nonsense does not keep the others from opening it
    try {
      const value = await openShare(share, key, request, own);
      if (!values.some(({ position }) => position === share.position)) values.push({ position: share.position, value });
    } catch (error) {
      fault ??= error;
    }
  }
  if (threshold < 2 || values.length < threshold) throw fault ?? new Error("fewer shares than it takes");
  const { spki } = certificateOf(fromBase64(certificates[0]));
  for (const some of choices(values, threshold)) {
    try {
      const pkcs8 = await openEnvelope(fromBase64(sealed), { kek: combine(some) });
      if (await nameOf(pkcs8, spki) === key) return pkcs8;
      fault ??= new Error("another key than it was escrowed as");
    } catch (error) {
      fault ??= error;
    }
  }
  throw fault;
}

async function openShare({ position, envelope }, key, request, own) {
  const content = JSON.parse(new TextDecoder().decode(await openEnvelope(fromBase64(envelope), own)));
  if (content.key !== key || content.position !== position || content.for !== request || content.origin) throw new Error("a share of another key, officer or request");
  if (!(position >= 1 && position <= maxOfficers)) throw new Error("no such officer");
  return fromBase64(content.share);
}

async function nameOf(pkcs8, spki) {
  return toHex(new Uint8Array(await crypto.subtle.digest("SHA-256", await publicKeyOf(pkcs8, spki))));
}

// choices yields all ways to take n of a list, the first ones first.
function* choices(list, n) {
  if (n === 0) yield [];
  for (let i = 0; n > 0 && i + n <= list.length; i++) {
    for (const rest of choices(list.slice(i + 1), n - 1)) yield [list[i], ...rest];
  }
}
