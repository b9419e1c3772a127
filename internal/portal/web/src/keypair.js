// The kinds of key that the page makes, as WebCrypto names them: a person is
// offered two, an organization may have chosen another. The keys
// are extractable because the PKCS #12 file has to hold the private key; they
// stay in this page's memory and in that file.
const rsa = (modulusLength) => ({
  name: "RSASSA-PKCS1-v1_5",
  hash: "SHA-256",
  modulusLength,
  publicExponent: new Uint8Array([1, 0, 1]),
});
const algorithms = {
  "rsa-3072": rsa(3072),
  "rsa-2048": rsa(2048),
  "p-256": { name: "ECDSA", namedCurve: "P-256" },
  "p-384": { name: "ECDSA", namedCurve: "P-384" },
};

export function generateKeyPair(kind) {
  return crypto.subtle.generateKey(algorithms[kind], true, ["sign", "verify"]);
}
