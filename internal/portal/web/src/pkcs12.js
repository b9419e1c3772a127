// Builds the PKCS #12 file (RFC 7292) in the form that today's mail clients
// import: PBES2 with AES-256-CBC and PBKDF2-HMAC-SHA-256 (RFC 8018), a MAC with
// HMAC-SHA-256, everything in DER. The pieces are PKI.js; the encryption and
// the MAC are put together here, because PKI.js writes long octet strings with
// indefinite lengths, which strict readers refuse, and salts of 64 octets.

import * as asn1js from "asn1js";
import * as pkijs from "pkijs";

const oid = {
  data: "1.2.840.113549.1.7.1",
  encryptedData: "1.2.840.113549.1.7.6",
  keyBag: "1.2.840.113549.1.12.10.1.2", // pkcs8ShroudedKeyBag
  certBag: "1.2.840.113549.1.12.10.1.3",
  friendlyName: "1.2.840.113549.1.9.20",
  localKeyId: "1.2.840.113549.1.9.21",
  pbes2: "1.2.840.113549.1.5.13",
  pbkdf2: "1.2.840.113549.1.5.12",
  hmacWithSHA256: "1.2.840.113549.2.9",
  aes256CBC: "2.16.840.1.101.3.4.1.42",
  sha256: "2.16.840.1.101.3.4.2.1",
};

// Eight octets are what RFC 8018 §4.1 asks for at least, and the most that the
// key chain of macOS is known to take in a MAC with SHA-256.
const saltLength = 8;
const blockLength = 16; // of AES

// makePKCS12 returns the file as a Uint8Array. Each of the identities has a private
// key as pkcs8, a certificate and a chain in DER; label is what key chains show.
export async function makePKCS12({ identities, label, passphrase, iterations }) {
  const secret = new TextEncoder().encode(passphrase);
  const certificates = [];
  const keys = [];
  const above = new Map(); // what several chains share is there once
  for (const { pkcs8, certificate, chain } of identities) {
    const keyId = await crypto.subtle.digest("SHA-1", certificate); // a label that pairs key and certificate, as OpenSSL makes it
    const pair = [friendlyName(label), localKeyId(keyId)];
    certificates.push(certBag(certificate, pair));
    keys.push(safeBag(oid.keyBag, await shroud(pkcs8, secret, iterations), pair));
    for (const der of chain) above.set(der.join(), der);
  }
  for (const der of above.values()) certificates.push(certBag(der, []));
  const authenticatedSafe = sequence(
    contentInfo(oid.encryptedData, await encryptedData(encode(sequence(...certificates)), secret, iterations)),
    contentInfo(oid.data, octets(encode(sequence(...keys)))),
  );
  const safe = encode(authenticatedSafe);
  const pfx = sequence(
    new asn1js.Integer({ value: 3 }),
    contentInfo(oid.data, octets(safe)),
    await macData(safe, secret, iterations),
  );
  return new Uint8Array(encode(pfx));
}

const encode = (schema) => schema.toBER(false);
const sequence = (...value) => new asn1js.Sequence({ value });
const object = (value) => new asn1js.ObjectIdentifier({ value });
const octets = (valueHex) => new asn1js.OctetString({ valueHex });
const explicit0 = (value) => new asn1js.Constructed({ idBlock: { tagClass: 3, tagNumber: 0 }, value: [value] });
const contentInfo = (type, content) => sequence(object(type), explicit0(content));
const set = (...value) => new asn1js.Set({ value: value.toSorted(byEncoding) });
const attribute = (type, value) => sequence(object(type), set(value));
const friendlyName = (label) => attribute(oid.friendlyName, new asn1js.BmpString({ value: label }));
const localKeyId = (id) => attribute(oid.localKeyId, octets(id));

// X.690 §11.6: in DER the members of a SET OF stand in the order of their encodings.
function byEncoding(a, b) {
  const [x, y] = [new Uint8Array(encode(a)), new Uint8Array(encode(b))];
  const at = x.findIndex((byte, i) => byte !== y[i]);
  return at < 0 ? 0 : x[at] - (y[at] ?? -1);
}

// RFC 7292 §4.2: SafeBag ::= SEQUENCE { bagId, bagValue [0] EXPLICIT, bagAttributes SET OPTIONAL }
function safeBag(type, value, attributes) {
  const fields = [object(type), explicit0(value)];
  return sequence(...(attributes.length ? [...fields, set(...attributes)] : fields));
}

function certBag(der, attributes) {
  const bag = new pkijs.CertBag({ parsedValue: pkijs.Certificate.fromBER(der) });
  return safeBag(oid.certBag, bag.toSchema(), attributes);
}

// RFC 7292 §4.2.2: PKCS8ShroudedKeyBag ::= EncryptedPrivateKeyInfo
async function shroud(pkcs8, secret, iterations) {
  const { algorithm, ciphertext } = await encrypt(pkcs8, secret, iterations);
  return sequence(algorithm, octets(ciphertext));
}

// RFC 5652 §8: EncryptedData, its content tagged [0] IMPLICIT OCTET STRING
async function encryptedData(plaintext, secret, iterations) {
  const { algorithm, ciphertext } = await encrypt(plaintext, secret, iterations);
  const content = new asn1js.Primitive({ idBlock: { tagClass: 3, tagNumber: 0 }, valueHex: ciphertext });
  return sequence(new asn1js.Integer({ value: 0 }), sequence(object(oid.data), algorithm, content));
}

// encrypt is PBES2 (RFC 8018 §6.2) with a new salt and IV.
async function encrypt(plaintext, secret, iterations) {
  const salt = crypto.getRandomValues(new Uint8Array(saltLength));
  const iv = crypto.getRandomValues(new Uint8Array(blockLength));
  const base = await crypto.subtle.importKey("raw", secret, "PBKDF2", false, ["deriveKey"]);
  const derivation = { name: "PBKDF2", hash: "SHA-256", salt, iterations };
  const key = await crypto.subtle.deriveKey(derivation, base, { name: "AES-CBC", length: 256 }, false, ["encrypt"]);
  const ciphertext = await crypto.subtle.encrypt({ name: "AES-CBC", iv }, key, plaintext);
  const parameters = new pkijs.PBES2Params({
    keyDerivationFunc: identifier(oid.pbkdf2, new pkijs.PBKDF2Params({
      salt: octets(salt.buffer),
      iterationCount: iterations,
      prf: identifier(oid.hmacWithSHA256, new asn1js.Null()),
    }).toSchema()),
    encryptionScheme: identifier(oid.aes256CBC, octets(iv.buffer)),
  });
  return { algorithm: identifier(oid.pbes2, parameters.toSchema()).toSchema(), ciphertext };
}

const identifier = (algorithmId, algorithmParams) => new pkijs.AlgorithmIdentifier({ algorithmId, algorithmParams });

// macData is the password integrity mode of RFC 7292 §4: the HMAC's key comes
// from the passphrase by appendix B, which stampDataWithPassword does.
async function macData(content, secret, iterations) {
  const salt = crypto.getRandomValues(new Uint8Array(saltLength));
  const mac = await pkijs.getCrypto(true).stampDataWithPassword({
    password: secret,
    hashAlgorithm: "SHA-256",
    salt: salt.buffer,
    iterationCount: iterations,
    contentToStamp: content,
  });
  const digestInfo = sequence(identifier(oid.sha256, new asn1js.Null()).toSchema(), octets(mac));
  return sequence(digestInfo, octets(salt.buffer), new asn1js.Integer({ value: iterations }));
}
