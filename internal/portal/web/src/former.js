// A file with keys that the person has from before: opened in the page, it comes
// back with the new keys in one file, so that old mail stays readable where only
// the newest file is imported.

import { encrypts } from "./envelope.js";
import { openPKCS12, Unopened } from "./openpkcs12.js";
import { Failure } from "./page.js";

// openFile opens what was chosen in a file field, with the passphrase in another.
export async function openFile(file, passphrase) {
  try {
    return await openPKCS12(new Uint8Array(await file.files[0].arrayBuffer()), passphrase.value);
  } catch (error) {
    throw error instanceof Unopened ? new Failure(error.kind) : error;
  }
}

// formerKeys returns the identities in the file that decrypt; none where no file
// was chosen. Former signing keys are of no more use.
export async function formerKeys(file, passphrase) {
  if (file.files.length === 0) return [];
  const { identities, others } = await openFile(file, passphrase);
  return identities.filter(({ certificate }) => encrypts(certificate)).map((one) => ({ ...one, chain: others }));
}
