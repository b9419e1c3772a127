// decodePEM returns the DER of the one certificate in a PEM text (RFC 7468).
export function decodePEM(text) {
  const body = text.replace(/-----[^-]+-----/g, "").replace(/\s+/g, "");
  return Uint8Array.from(atob(body), (character) => character.charCodeAt(0));
}
