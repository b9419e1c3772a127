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

// strength is a hint, not a proof: "short", "weak", "fair" or "good". A letter
// that goes on with a word counts little, a change of kind counts more, what
// repeats or counts on ("aaa", "1234") and one's own name count nothing.
export function strength(passphrase, known) {
  if (Array.from(passphrase).length < minimumLength) return "short";
  const bits = estimate(Array.from(withoutKnown(passphrase, known)));
  if (bits < 50) return "weak";
  return bits < 75 ? "fair" : "good";
}

// withoutKnown takes out what is known of the person, in any case.
function withoutKnown(passphrase, known) {
  const words = known.flatMap((text) => text.split(/[^\p{L}\p{N}]+/u)).filter((word) => word.length >= 3);
  return words.reduce((rest, word) => rest.replace(new RegExp(word, "giu"), ""), passphrase);
}

const kinds = [/[a-z]/, /[A-Z]/, /[0-9]/, /[\x20-\x7e]/];
const kindOf = (character) => kinds.findIndex((kind) => kind.test(character));
const other = -1; // beyond ASCII, where an alphabet is large

function estimate(characters) {
  let bits = 0;
  characters.forEach((character, i) => {
    const before = characters[i - 1];
    if (i > 0 && Math.abs(character.codePointAt(0) - before.codePointAt(0)) <= 1) return;
    const kind = kindOf(character);
    bits += i > 0 && kind === kindOf(before) && kind !== other ? 2 : 5;
  });
  return bits;
}
