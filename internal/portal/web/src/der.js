// DER (X.690 §10), as much of it as sealing and opening keys takes. Contents are
// Uint8Arrays.

export const tag = {
  integer: 0x02, bitString: 0x03, octetString: 0x04, nul: 0x05, oid: 0x06, sequence: 0x30, set: 0x31,
};

// context is the tag of a context-specific element.
export const context = (number, constructed = true) => (constructed ? 0xa0 : 0x80) | number;

export function join(...parts) {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

// element encodes one element around its contents.
export function element(type, ...contents) {
  const content = join(...contents);
  const length = [];
  for (let n = content.length; n > 0; n = Math.floor(n / 256)) length.unshift(n % 256);
  const head = content.length < 0x80 ? [type, content.length] : [type, 0x80 | length.length, ...length];
  return join(Uint8Array.from(head), content);
}

export const sequence = (...contents) => element(tag.sequence, ...contents);
export const octets = (content) => element(tag.octetString, content);
export const small = (value) => element(tag.integer, Uint8Array.of(value)); // below 128

// oid encodes an object identifier from its dotted form.
export function oid(dotted) {
  const [first, second, ...arcs] = dotted.split(".").map(Number);
  const bytes = [];
  for (const arc of [first * 40 + second, ...arcs]) {
    const digits = [arc % 128];
    for (let rest = Math.floor(arc / 128); rest > 0; rest = Math.floor(rest / 128)) digits.unshift(0x80 | (rest % 128));
    bytes.push(...digits);
  }
  return element(tag.oid, Uint8Array.from(bytes));
}

export const same = (a, b) => a.length === b.length && a.every((byte, i) => byte === b[i]);

// parse reads the elements that fill the bytes: of each its type, its contents,
// and raw, all of it.
export function parse(bytes) {
  const elements = [];
  for (let at = 0; at < bytes.length;) {
    let [type, length] = bytes.subarray(at, at + 2);
    let start = at + 2;
    if (length > 0x80 && length <= 0x84) {
      const digits = bytes.subarray(start, start + length - 0x80);
      start += digits.length;
      length = digits.reduce((sum, digit) => sum * 256 + digit, 0);
    } else if (!(length < 0x80)) {
      throw new Error("not DER");
    }
    if ((type & 0x1f) === 0x1f || start + length > bytes.length) throw new Error("not DER");
    elements.push({ type, content: bytes.subarray(start, start + length), raw: bytes.subarray(at, start + length) });
    at = start + length;
  }
  return elements;
}

// inside reads the elements of the one element that the bytes are.
export function inside(bytes, type = tag.sequence) {
  const elements = parse(bytes);
  if (elements.length !== 1 || elements[0].type !== type) throw new Error("not the expected structure");
  return parse(elements[0].content);
}

export const fromBase64 = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
export const toBase64 = (bytes) => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
export const toHex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
