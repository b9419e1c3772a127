// The two kinds of key that the page offers, as WebCrypto names them. The keys
// are extractable because the PKCS #12 file has to hold the private key; they
// stay in this page's memory and in that file.
const algorithms = {
  "rsa-3072": {
    name: "RSASSA-PKCS1-v1_5",
    hash: "SHA-256",
    modulusLength: 3072,
    publicExponent: new Uint8Array([1, 0, 1]),
  },
  "p-256": { name: "ECDSA", namedCurve: "P-256" },
};

export function generateKeyPair(kind) {
  return crypto.subtle.generateKey(algorithms[kind], true, ["sign", "verify"]);
}
