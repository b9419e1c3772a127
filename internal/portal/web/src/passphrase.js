// Crockford's base 32: no I, L, O, U, so that nothing is misread from a screen.
const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const groups = 7;
const groupLength = 4;

// Iteration counts of the key derivation: slow for what a person thought of,
// quick where 140 random bits leave nothing to guess.
export const chosenIterations = 600_000;
export const generatedIterations = 10_000;

export const minimumLength = 12;

// generatePassphrase returns 28 characters of 5 random bits each, in groups.
export function generatePassphrase() {
  const random = crypto.getRandomValues(new Uint8Array(groups * groupLength));
  const characters = Array.from(random, (byte) => alphabet[byte & 31]).join("");
  return characters.match(new RegExp(`.{${groupLength}}`, "g")).join("-");
}

// strength is a hint, not a proof: "short", "weak", "fair" or "good". It counts
// what varies, so that "aaaaaaaaaaaa" and one's own name gain nothing.
export function strength(passphrase, known) {
  const length = Array.from(passphrase).length;
  if (length < minimumLength) return "short";
  const bits = varied(withoutKnown(passphrase.toLowerCase(), known)) * Math.log2(pool(passphrase));
  if (bits < 50) return "weak";
  return bits < 75 ? "fair" : "good";
}

function withoutKnown(passphrase, known) {
  return known.flatMap((text) => text.toLowerCase().split(/[^\p{L}\p{N}]+/u))
    .filter((word) => word.length >= 3)
    .reduce((rest, word) => rest.replaceAll(word, ""), passphrase);
}

// varied counts the characters that neither repeat nor continue the one before.
function varied(passphrase) {
  const points = Array.from(passphrase, (character) => character.codePointAt(0));
  return points.filter((point, i) => i === 0 || Math.abs(point - points[i - 1]) > 1).length;
}

// pool is how many characters one place could have held.
function pool(passphrase) {
  const classes = [[/[a-z]/, 26], [/[A-Z]/, 26], [/[0-9]/, 10], [/[\x20-\x2f\x3a-\x40\x5b-\x60\x7b-\x7e]/, 32], [/[^\x20-\x7e]/, 1000]];
  return classes.reduce((sum, [pattern, size]) => sum + (pattern.test(passphrase) ? size : 0), 0) || 1;
}
