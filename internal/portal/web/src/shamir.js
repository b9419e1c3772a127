// A. Shamir, How to share a secret (1979), octet by octet over GF(256) with the
// polynomial of AES: what internal/recovery does, in the browser.

function multiply(a, b) {
  let product = 0;
  for (let bit = 0; bit < 8; bit++) {
    product ^= a & -(b & 1);
    a = ((a << 1) ^ (0x11b & -(a >> 7))) & 0xff;
    b >>= 1;
  }
  return product;
}

// invert returns a to the power of 254, which is 1/a.
function invert(a) {
  let [square, inverse] = [a, 1];
  for (let i = 0; i < 7; i++) {
    square = multiply(square, square);
    inverse = multiply(inverse, square);
  }
  return inverse;
}

// split returns the shares of a secret at the positions, which are not 0; any
// threshold of them give it back.
export function split(secret, threshold, positions) {
  if (threshold < 2 || threshold > positions.length || new Set(positions).size !== positions.length ||
    positions.some((position) => position < 1 || position > 255)) throw new Error("no such shares");
  const coefficients = [secret]; // the lowest degree first
  while (coefficients.length < threshold) coefficients.push(crypto.getRandomValues(new Uint8Array(secret.length)));
  return positions.map((position) => secret.map((_, i) =>
    coefficients.reduceRight((value, coefficient) => multiply(value, position) ^ coefficient[i], 0)));
}

// combine returns the secret of shares, each { position, value }.
export function combine(shares) {
  const secret = new Uint8Array(shares[0].value.length);
  for (const { position, value } of shares) {
    let weight = 1; // of Lagrange, at 0
    for (const other of shares) {
      if (other.position !== position) weight = multiply(weight, multiply(other.position, invert(other.position ^ position)));
    }
    value.forEach((octet, i) => { secret[i] ^= multiply(weight, octet); });
  }
  return secret;
}
