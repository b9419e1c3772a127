// AuthEnvelopedData (RFC 5083) with AES-256-GCM for one recipient: one who has a
// certificate, or those who share an AES key. internal/recovery reads and writes
// the same.

import { context, element, inside, join, octets, oid, parse, same, sequence, small, tag } from "./der.js";

const type = {
  data: oid("1.2.840.113549.1.7.1"),
  authEnvelopedData: oid("1.2.840.113549.1.9.16.1.23"),
};
const aes256GCM = oid("2.16.840.1.101.3.4.1.46");
const aes256Wrap = oid("2.16.840.1.101.3.4.1.45");
const sha256 = sequence(oid("2.16.840.1.101.3.4.2.1"), element(tag.nul));
// RSAES-OAEP with SHA-256 in both places (RFC 4055 §4.1).
const oaep = sequence(oid("1.2.840.113549.1.1.7"), sequence(
  element(context(0), sha256),
  element(context(1), sequence(oid("1.2.840.113549.1.1.8"), sha256)),
));
const rsaEncryption = oid("1.2.840.113549.1.1.1");
const ecPublicKey = oid("1.2.840.10045.2.1");

// Curves and what goes with them: key agreement with the KDF of X9.63
// (RFC 5753 §7.1.4), or with HKDF for X25519 (RFC 8418 §2.2).
const curves = [
  { id: oid("1.2.840.10045.3.1.7"), name: "P-256", bits: 256, hash: "SHA-256", scheme: oid("1.3.132.1.11.1") },
  { id: oid("1.3.132.0.34"), name: "P-384", bits: 384, hash: "SHA-384", scheme: oid("1.3.132.1.11.2") },
  { id: oid("1.3.132.0.35"), name: "P-521", bits: 528, hash: "SHA-512", scheme: oid("1.3.132.1.11.3") },
];
const x25519 = { id: oid("1.3.101.110"), name: "X25519", bits: 256, hash: "SHA-256", scheme: oid("1.2.840.113549.1.9.16.3.19") };

// Unreadable: a certificate, or an envelope, of a kind that browsers have nothing
// for, such as ML-KEM.
export class Unreadable extends Error {}

// certificateOf reads what an envelope needs of a certificate in DER.
export function certificateOf(der) {
  const [tbs] = inside(der);
  const fields = parse(tbs.content);
  if (fields[0].type === context(0)) fields.shift(); // version
  const [serial, , issuer, , , spki] = fields;
  return { serial: serial.raw, issuer: issuer.raw, spki: spki.raw };
}

const keyUsage = oid("2.5.29.15");

// encrypts tells whether a certificate in DER is for encryption to it: its key
// usage (RFC 5280 §4.2.1.3) has keyEncipherment or keyAgreement, or is absent.
export function encrypts(der) {
  const [tbs] = inside(der);
  const extensions = parse(tbs.content).find(({ type: is }) => is === context(3));
  for (const extension of extensions ? inside(extensions.content) : []) {
    const fields = parse(extension.content);
    if (!same(fields[0].raw, keyUsage)) continue;
    const [bits] = parse(fields.at(-1).content);
    return (bits.content[1] & 0x28) !== 0;
  }
  return true;
}

// envelop encrypts a plaintext; info makes the RecipientInfo of the content key.
async function envelop(plain, info) {
  const key = crypto.getRandomValues(new Uint8Array(32));
  const nonce = crypto.getRandomValues(new Uint8Array(12));
  const cipher = await crypto.subtle.importKey("raw", key, "AES-GCM", false, ["encrypt"]);
  const sealed = new Uint8Array(await crypto.subtle.encrypt({ name: "AES-GCM", iv: nonce }, cipher, plain));
  const end = sealed.length - 16;
  const recipient = await info(key);
  key.fill(0);
  return sequence(type.authEnvelopedData, element(context(0), sequence(
    small(0),
    element(tag.set, recipient),
    sequence(type.data, sequence(aes256GCM, sequence(octets(nonce), small(16))), element(context(0, false), sealed.subarray(0, end))),
    octets(sealed.subarray(end)),
  )));
}

// envelopForKey encrypts to those who share an AES-256 key, which id names.
export const envelopForKey = (plain, kek, id) => envelop(plain, async (key) =>
  element(context(2), small(4), sequence(octets(id)), sequence(aes256Wrap), octets(await wrap(kek, key))));

// envelopFor encrypts to the holder of a certificate.
export function envelopFor(plain, der) {
  const { serial, issuer, spki } = certificateOf(der);
  const who = sequence(issuer, serial);
  const [algorithm] = parse(inside(spki)[0].content);
  return envelop(plain, (key) => same(algorithm.raw, rsaEncryption) ? transport(key, spki, who) : agree(key, spki, who));
}

// transport makes a KeyTransRecipientInfo (RFC 5652 §6.2.1).
async function transport(key, spki, who) {
  const to = await crypto.subtle.importKey("spki", spki, { name: "RSA-OAEP", hash: "SHA-256" }, false, ["encrypt"]);
  const encrypted = new Uint8Array(await crypto.subtle.encrypt("RSA-OAEP", to, key));
  return sequence(small(0), who, oaep, octets(encrypted));
}

// agree makes a KeyAgreeRecipientInfo (RFC 5652 §6.2.2) with a new key.
async function agree(key, spki, who) {
  const curve = curveOf(spki);
  const to = await importCurve("spki", spki, curve, []);
  const own = await crypto.subtle.generateKey(parameters(curve), true, ["deriveBits"]);
  const point = new Uint8Array(await crypto.subtle.exportKey("raw", own.publicKey));
  const kek = await keyEncryptionKey(curve, own.privateKey, to);
  return element(context(1),
    small(3),
    element(context(0), element(context(1),
      sequence(curve === x25519 ? x25519.id : ecPublicKey), element(tag.bitString, Uint8Array.of(0), point))),
    sequence(curve.scheme, sequence(aes256Wrap)),
    sequence(sequence(who, octets(await wrap(kek, key)))),
  );
}

// curveOf is the curve of a SubjectPublicKeyInfo, or of what begins like one.
function curveOf(spki) {
  const [algorithm, curve] = parse(inside(spki)[0].content);
  if (same(algorithm.raw, x25519.id)) return x25519;
  const found = same(algorithm.raw, ecPublicKey) && curves.find(({ id }) => same(curve.raw, id));
  if (!found) throw new Unreadable("a key that this browser cannot encrypt to");
  return found;
}

const parameters = (curve) => (curve === x25519 ? { name: "X25519" } : { name: "ECDH", namedCurve: curve.name });

// importCurve: a browser may be too old for X25519.
const importCurve = (format, key, curve, usages) => crypto.subtle.importKey(format, key, parameters(curve), false, usages)
  .catch((error) => { throw error.name === "NotSupportedError" ? new Unreadable(curve.name) : error; });

// keyEncryptionKey derives the key of the wrap from what two keys agree on, with
// ECC-CMS-SharedInfo (RFC 5753 §7.2).
async function keyEncryptionKey(curve, privateKey, publicKey) {
  const { name } = parameters(curve);
  const secret = new Uint8Array(await crypto.subtle.deriveBits({ name, public: publicKey }, privateKey, curve.bits));
  const info = sequence(sequence(aes256Wrap), element(context(2), octets(Uint8Array.of(0, 0, 1, 0)))); // 256 bits
  if (curve === x25519) {
    const base = await crypto.subtle.importKey("raw", secret, "HKDF", false, ["deriveBits"]);
    return new Uint8Array(await crypto.subtle.deriveBits({ name: "HKDF", hash: curve.hash, salt: new Uint8Array(), info }, base, 256));
  }
  const digest = await crypto.subtle.digest(curve.hash, join(secret, Uint8Array.of(0, 0, 0, 1), info));
  return new Uint8Array(digest).slice(0, 32);
}

// wrap is the AES key wrap of RFC 3394.
async function wrap(kek, key) {
  const by = await crypto.subtle.importKey("raw", kek, "AES-KW", false, ["wrapKey"]);
  const wrapped = await crypto.subtle.importKey("raw", key, "AES-GCM", true, ["encrypt"]);
  return new Uint8Array(await crypto.subtle.wrapKey("raw", wrapped, by, "AES-KW"));
}

// openEnvelope decrypts an envelope with the AES key kek that its recipient
// shares, or with the private key (PKCS #8) of the certificate it is for.
export async function openEnvelope(envelope, { kek, pkcs8, certificate }) {
  const [contentType, tagged] = inside(envelope);
  if (!same(contentType.raw, type.authEnvelopedData)) throw new Unreadable("an envelope of another kind");
  const [, recipients, content, mac] = inside(tagged.content);
  const [recipient, ...others] = parse(recipients.content);
  if (others.length > 0) throw new Unreadable("an envelope for several");
  const [, cipher, sealed] = parse(content.content);
  const [algorithm, gcm] = parse(cipher.content);
  if (!same(algorithm.raw, aes256GCM)) throw new Unreadable("an envelope with another cipher");
  const [nonce] = parse(gcm.content);
  const key = await (kek ? openShared(recipient, kek) : openOwn(recipient, pkcs8, certificateOf(certificate).spki));
  const plain = await crypto.subtle.decrypt({ name: "AES-GCM", iv: nonce.content, tagLength: mac.content.length * 8 }, key, join(sealed.content, mac.content));
  return new Uint8Array(plain);
}

function openShared({ type: form, content }, kek) {
  if (form !== context(2)) throw new Unreadable("an envelope for somebody else");
  return unwrap(kek, parse(content)[3].content);
}

async function openOwn({ type: form, content }, pkcs8, spki) {
  const fields = parse(content);
  if (form === tag.sequence) { // KeyTransRecipientInfo
    if (!same(fields[2].raw, oaep)) throw new Unreadable("an envelope with another key transport");
    const own = await crypto.subtle.importKey("pkcs8", pkcs8, { name: "RSA-OAEP", hash: "SHA-256" }, false, ["decrypt"]);
    const key = await crypto.subtle.decrypt("RSA-OAEP", own, fields[3].content);
    return crypto.subtle.importKey("raw", key, "AES-GCM", false, ["decrypt"]);
  }
  const curve = curveOf(spki);
  const [, originator, scheme, keys] = fields;
  if (form !== context(1) || !same(scheme.raw, sequence(curve.scheme, sequence(aes256Wrap)))) throw new Unreadable("an envelope with another key agreement");
  const [, point] = inside(originator.content, context(1));
  const to = await importCurve("raw", point.content.subarray(1), curve, []);
  const own = await importCurve("pkcs8", pkcs8, curve, ["deriveBits"]);
  const [, wrapped] = parse(parse(keys.content)[0].content);
  return unwrap(await keyEncryptionKey(curve, own, to), wrapped.content);
}

async function unwrap(kek, wrapped) {
  const by = await crypto.subtle.importKey("raw", kek, "AES-KW", false, ["unwrapKey"]);
  return crypto.subtle.unwrapKey("raw", wrapped, by, "AES-KW", "AES-GCM", false, ["decrypt"]);
}

// publicKeyOf derives the SubjectPublicKeyInfo of a private key: RSA, or on a
// NIST curve, as certificates of people here have them.
export async function publicKeyOf(pkcs8, spki) {
  const [algorithm] = parse(inside(spki)[0].content);
  const rsa = same(algorithm.raw, rsaEncryption);
  const form = rsa ? { name: "RSA-OAEP", hash: "SHA-256" } : parameters(curveOf(spki));
  const key = await crypto.subtle.importKey("pkcs8", pkcs8, form, true, rsa ? ["decrypt"] : ["deriveBits"]);
  const { kty, n, e, crv, x, y } = await crypto.subtle.exportKey("jwk", key);
  const half = await crypto.subtle.importKey("jwk", { kty, n, e, crv, x, y }, form, true, rsa ? ["encrypt"] : []);
  return new Uint8Array(await crypto.subtle.exportKey("spki", half));
}
