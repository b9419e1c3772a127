// Reads a PKCS #12 file (RFC 7292) as this portal writes it: DER, PBES2 with AES
// and PBKDF2 (RFC 8018). Older forms, such as those with triple DES, are beyond
// what browsers have.

import { context, inside, oid, parse, same, tag } from "./der.js";

const type = {
  data: oid("1.2.840.113549.1.7.1"),
  encryptedData: oid("1.2.840.113549.1.7.6"),
  keyBag: oid("1.2.840.113549.1.12.10.1.1"),
  shroudedKeyBag: oid("1.2.840.113549.1.12.10.1.2"),
  certBag: oid("1.2.840.113549.1.12.10.1.3"),
  localKeyId: oid("1.2.840.113549.1.9.21"),
  pbes2: oid("1.2.840.113549.1.5.13"),
  pbkdf2: oid("1.2.840.113549.1.5.12"),
};
const hashes = [
  { id: oid("1.2.840.113549.2.7"), name: "SHA-1" },
  { id: oid("1.2.840.113549.2.9"), name: "SHA-256" },
  { id: oid("1.2.840.113549.2.10"), name: "SHA-384" },
  { id: oid("1.2.840.113549.2.11"), name: "SHA-512" },
];
const ciphers = [
  { id: oid("2.16.840.1.101.3.4.1.2"), length: 128 },
  { id: oid("2.16.840.1.101.3.4.1.22"), length: 192 },
  { id: oid("2.16.840.1.101.3.4.1.42"), length: 256 },
];
const maxIterations = 10_000_000;

// Unopened: kind is "passphrase" where it is another one, "form" where the file
// is of a form that is not read here.
export class Unopened extends Error {
  constructor(kind) {
    super(kind);
    this.kind = kind;
  }
}

// openPKCS12 returns the keys with their certificates as identities, each
// { pkcs8, certificate }, and the other certificates as others.
export async function openPKCS12(file, passphrase) {
  const secret = new TextEncoder().encode(passphrase);
  let bags;
  try {
    bags = safeContents(file);
  } catch {
    throw new Unopened("form");
  }
  const keys = [];
  const certificates = [];
  for (const { encrypted, content } of bags) {
    for (const bag of parse(inside0(encrypted ? await decrypt(encrypted, content, secret) : content))) {
      const [kind, value, attributes] = parse(bag.content);
      const id = localKeyId(attributes);
      if (same(kind.raw, type.certBag)) certificates.push({ id, der: parse(parse(parse(value.content)[0].content)[1].content)[0].content });
      if (same(kind.raw, type.keyBag)) keys.push({ id, pkcs8: value.content });
      if (same(kind.raw, type.shroudedKeyBag)) {
        const [algorithm, sealed] = inside(value.content);
        keys.push({ id, pkcs8: await decrypt(algorithm, sealed.content, secret) });
      }
    }
  }
  const identities = [];
  for (const { id, pkcs8 } of keys) {
    const own = certificates.find((certificate) => id && certificate.id && same(id, certificate.id));
    if (!own) throw new Unopened("form");
    own.taken = true;
    identities.push({ pkcs8, certificate: own.der });
  }
  return { identities, others: certificates.filter(({ taken }) => !taken).map(({ der }) => der) };
}

// inside0 is the contents of the one element that the bytes are.
function inside0(bytes) {
  const [element] = parse(bytes);
  if (element?.type !== tag.sequence) throw new Unopened("form");
  return element.content;
}

// safeContents finds the parts of the file, encrypted or not (RFC 7292 §4.1).
function safeContents(file) {
  const [, authSafe] = inside(file);
  return inside(contentOf(authSafe, type.data)).map((info) => {
    const [kind, tagged] = parse(info.content);
    if (same(kind.raw, type.data)) return { content: contentOf(info, type.data) };
    if (!same(kind.raw, type.encryptedData)) throw new Error("not a part that a passphrase opens");
    const [, encrypted] = inside(tagged.content);
    const [, algorithm, content] = parse(encrypted.content);
    if (content.type !== context(0, false)) throw new Error("not DER");
    return { encrypted: algorithm, content: content.content };
  });
}

function contentOf(info, kind) {
  const [is, tagged] = parse(info.content);
  const [content] = parse(tagged.content);
  if (!same(is.raw, kind) || content.type !== tag.octetString) throw new Error("not octets");
  return content.content;
}

function localKeyId(attributes) {
  for (const attribute of attributes ? parse(attributes.content) : []) {
    const [kind, values] = parse(attribute.content);
    if (same(kind.raw, type.localKeyId)) return parse(values.content)[0].content;
  }
  return null;
}

// decrypt is PBES2 (RFC 8018 §6.2.2). A wrong passphrase shows by the padding,
// or by what comes out of it.
async function decrypt({ content: algorithm }, ciphertext, secret) {
  const { hash, salt, iterations, cipher, iv } = parameters(algorithm);
  const base = await crypto.subtle.importKey("raw", secret, "PBKDF2", false, ["deriveKey"]);
  const key = await crypto.subtle.deriveKey({ name: "PBKDF2", hash: hash.name, salt, iterations }, base, { name: "AES-CBC", length: cipher.length }, false, ["decrypt"]);
  try {
    const plain = new Uint8Array(await crypto.subtle.decrypt({ name: "AES-CBC", iv }, key, ciphertext));
    inside0(plain);
    return plain;
  } catch {
    throw new Unopened("passphrase");
  }
}

function parameters(algorithm) {
  try {
    const [kind, both] = parse(algorithm);
    const [[derivation, settings], [encryption, iv]] = parse(both.content).map(({ content }) => parse(content));
    const [salt, count, ...rest] = parse(settings.content);
    const prf = rest.find((one) => one.type === tag.sequence);
    const hash = hashes.find(({ id }) => same(id, prf ? parse(prf.content)[0].raw : hashes[0].id));
    const cipher = ciphers.find(({ id }) => same(id, encryption.raw));
    const iterations = count.content.reduce((sum, octet) => sum * 256 + octet, 0);
    if (same(kind.raw, type.pbes2) && same(derivation.raw, type.pbkdf2) && hash && cipher && iterations > 0 && iterations <= maxIterations) {
      return { hash, salt: salt.content, iterations, cipher, iv: iv.content };
    }
  } catch { /* it is none of this form */ }
  throw new Unopened("form");
}
