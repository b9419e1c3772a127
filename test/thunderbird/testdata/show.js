// Shows the message with the id input[0] and returns what a person can see of its
// security, once Thunderbird has made up its mind.
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const pause = ms => new Promise(resolve => window.setTimeout(resolve, ms));
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

const main = await until("the main window", () => {
  const w = Services.wm.getMostRecentWindow("mail:3pane");
  return w?.document.readyState == "complete" && w.document.getElementById("tabmail")?.currentAbout3Pane?.threadTree && w;
});
const window = main;
const tabs = main.document.getElementById("tabmail");
const pane = tabs.currentAbout3Pane;
const folder = await until("the folder", () => MailServices.accounts.allFolders.find(f => f.URI.endsWith("/Judged")));
if (pane.gFolder !== folder) {
  pane.displayFolder(folder.URI);
}
const message = await until("the message", () => {
  try {
    return [...folder.messages].find(m => m.messageId == input[0]);
  } catch {
    return null; // the folder is still being read
  }
});
const row = await until("its row", () => {
  const i = pane.gDBView?.findIndexOfMsgHdr(message, true);
  return i !== undefined && i != 0xffffffff && [i];
});
pane.threadTree.selectedIndex = row[0];

const view = await until("the view", () => tabs.currentAboutMessage);
const document = view.document;
const text = id => (document.getElementById(id)?.textContent || document.getElementById(id)?.getAttribute("value") || "").trim();
const icon = id => {
  const e = document.getElementById(id);
  return e && !e.hidden && !e.collapsed ? (e.getAttribute("src") || "").split("/").pop() : "";
};
const body = () => (view.getMessagePaneBrowser()?.contentDocument?.body?.innerText || "").trim();
await until("the text", () => view.gMessage?.messageId == input[0] && body().includes(input[1]));
// The verdict comes after the text, in steps; it is there when it stays.
let last = "", same = 0;
for (let i = 0; i < 80 && same < 8; i++) {
  await pause(100);
  const now = icon("signedHdrIcon") + "|" + icon("encryptedHdrIcon") + "|" + document.getElementById("encryptionTechBtn")?.hidden;
  same = now == last && !now.endsWith("true") ? same + 1 : 0;
  last = now;
}
const seen = { signed: icon("signedHdrIcon"), encrypted: icon("encryptedHdrIcon") };
view.showMessageReadSecurityInfo();
await pause(300);
seen.signature = text("signatureLabel");
seen.encryption = text("encryptionLabel");
document.getElementById("messageSecurityPanel")?.hidePopup();
await pause(200);
return seen;
