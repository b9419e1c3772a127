// Writes a mail from input[0] to input[1] with subject input[2] and text input[3] in
// the real compose window, signed, and encrypted if input[4], and sends it.
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const main = Services.wm.getMostRecentWindow("mail:3pane");
const pause = ms => new Promise(resolve => main.setTimeout(resolve, ms));
const until = async (what, condition) => {
  for (let i = 0; i < 150; i++) {
    const found = condition();
    if (found) {
      return found;
    }
    await pause(100);
  }
  throw new Error("waited in vain for " + what);
};

const identity = MailServices.accounts.allIdentities.find(i => i.email == input[0]);
const mine = Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB).getCerts().find(c => c.emailAddress == input[0]);
for (const use of ["signing_cert", "encryption_cert"]) {
  identity.setUnicharAttribute(use + "_name", mine.displayName);
  identity.setCharAttribute(use + "_dbkey", mine.dbKey);
}
const fields = Cc["@mozilla.org/messengercompose/composefields;1"].createInstance(Ci.nsIMsgCompFields);
[fields.to, fields.subject, fields.body] = input.slice(1, 4);
const params = Cc["@mozilla.org/messengercompose/composeparams;1"].createInstance(Ci.nsIMsgComposeParams);
params.composeFields = fields;
params.identity = identity;
params.type = Ci.nsIMsgCompType.New;
params.format = Ci.nsIMsgCompFormat.PlainText;
MailServices.compose.OpenComposeWindowWithParams(null, params);
const compose = await until("the compose window", () => {
  const w = Services.wm.getMostRecentWindow("msgcompose");
  return w?.document.readyState == "complete" && w.gWindowLocked === false && w.gMsgCompose && w;
});
await pause(1000);
compose.gSelectedTechnologyIsPGP = false;
compose.gUserTouchedSendEncrypted = true;
compose.gSendEncrypted = input[4];
await compose.checkEncryptionState();
await pause(300);
// That check chooses for the person unless signing was chosen after it.
compose.gSendEncrypted = input[4];
compose.gSendSigned = true;
let failure = "";
compose.GenericSendMessage(Ci.nsIMsgCompDeliverMode.Now).catch(e => { failure = String(e); });
await until("the mail to leave", () => failure || compose.closed);
if (failure) {
  throw new Error(failure);
}
return true;
