// Seals a private encryption key to an organization's recovery officers, as
// docs/recovery.md has it: encrypted under a key that is split among them. What
// leaves the page opens with a threshold of their private keys, and with nothing
// that the server has.

import { fromBase64, toBase64, toHex } from "./der.js";
import { envelopFor, envelopForKey } from "./envelope.js";
import { split } from "./shamir.js";

// seal returns what the server takes as "escrow" beside the certification
// request; keepers is what it said of the officers.
export async function seal(keys, { quorum, threshold, officers }) {
  const spki = await crypto.subtle.exportKey("spki", keys.publicKey);
  const id = new Uint8Array(await crypto.subtle.digest("SHA-256", spki));
  const plain = new Uint8Array(await crypto.subtle.exportKey("pkcs8", keys.privateKey));
  const secret = crypto.getRandomValues(new Uint8Array(32));
  const sealed = await envelopForKey(plain, secret, id);
  plain.fill(0);
  const values = split(secret, threshold, officers.map(({ position }) => position));
  secret.fill(0);
  const shares = [];
  for (const [i, { position, certificate }] of officers.entries()) {
    const content = JSON.stringify({ key: toHex(id), position, share: toBase64(values[i]) });
    const envelope = await envelopFor(new TextEncoder().encode(content), fromBase64(certificate));
    shares.push({ position, envelope: toBase64(envelope) });
  }
  return { format: "mailseal sealed key 1", quorum, key: toHex(id), sealed: toBase64(sealed), shares };
}
