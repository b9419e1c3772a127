import * as asn1js from "asn1js";
import * as pkijs from "pkijs";

const extensionRequest = "1.2.840.113549.1.9.14"; // RFC 2985 §5.4.2
const subjectAltName = "2.5.29.17";

// An empty SEQUENCE. Left to itself, PKI.js writes a sequence with one empty
// set for a subject without names, which X.501 does not allow.
const emptyName = new Uint8Array([0x30, 0x00]);

// makeRequest builds and signs a PKCS #10 certification request (RFC 2986) for
// the key pair and the address, with an empty subject, as DER.
export async function makeRequest(keys, email) {
  const request = new pkijs.CertificationRequest();
  request.version = 0;
  request.subject.valueBeforeDecode = emptyName.buffer;
  await request.subjectPublicKeyInfo.importKey(keys.publicKey);
  request.attributes = isASCII(email) ? [altNameAttribute(email)] : [];
  await request.sign(keys.privateKey, "SHA-256");
  return request.toSchema(true).toBER(false);
}

// An address beyond ASCII does not fit an rfc822Name (RFC 5280 §4.2.1.6). The
// authority knows the address from its order and takes only the key from here.
function isASCII(text) {
  return /^[\x20-\x7e]+$/.test(text);
}

function altNameAttribute(email) {
  const rfc822Name = new pkijs.GeneralName({ type: 1, value: email });
  const names = new pkijs.GeneralNames({ names: [rfc822Name] });
  const extension = new pkijs.Extension({
    extnID: subjectAltName,
    critical: true, // RFC 5280 §4.2.1.6: because the subject is empty
    extnValue: names.toSchema().toBER(false),
  });
  const extensions = new pkijs.Extensions({ extensions: [extension] });
  return new pkijs.Attribute({ type: extensionRequest, values: [extensions.toSchema()] });
}
