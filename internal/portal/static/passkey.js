// Passkeys (W3C Web Authentication). A button says with data-passkey what to do
// and with data-path where: options come from <path>/options, the answer goes to
// <path>, and that says where to go on; unless the page has an element with
// data-passkey-onward, a form or a link, which is what goes on then.

const buttons = document.querySelectorAll("[data-passkey]");
const trouble = document.querySelector("[data-passkey-error]");

const decode = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
const encode = (buffer) => buffer === null || buffer === undefined ? undefined
  : btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

// Older browsers have no parseCreationOptionsFromJSON and no toJSON.
function toOptions(json) {
  const options = { ...json, challenge: decode(json.challenge) };
  if (json.user) options.user = { ...json.user, id: decode(json.user.id) };
  for (const list of ["excludeCredentials", "allowCredentials"]) {
    if (json[list]) options[list] = json[list].map((c) => ({ ...c, id: decode(c.id) }));
  }
  return options;
}

function toJSON(credential) {
  const r = credential.response;
  return {
    type: credential.type,
    rawId: encode(credential.rawId),
    response: {
      clientDataJSON: encode(r.clientDataJSON),
      attestationObject: encode(r.attestationObject),
      authenticatorData: encode(r.authenticatorData),
      signature: encode(r.signature),
      userHandle: encode(r.userHandle),
    },
  };
}

async function post(path, body) {
  const answer = await fetch(path, {
    method: "POST", body: JSON.stringify(body),
    headers: { "Content-Type": "application/json", Accept: "application/json" },
  });
  const json = await answer.json();
  if (json.again) { // who is signed in shows first that it is still them
    location.assign(json.again);
    return new Promise(() => {});
  }
  if (!answer.ok) throw new Error(json.detail ?? json.title);
  return json;
}

const value = (selector) => document.querySelector(selector)?.value ?? "";

async function run(button) {
  const about = { code: value("[data-passkey-code]"), person: value("#name"), name: value("#passkey-name") };
  const json = await post(button.dataset.path + "/options", about);
  const options = { publicKey: toOptions(json) };
  const credential = button.dataset.passkey === "create"
    ? await navigator.credentials.create(options) : await navigator.credentials.get(options);
  const { location: place } = await post(button.dataset.path, { ...about, answer: toJSON(credential) });
  const onward = document.querySelector("[data-passkey-onward]");
  if (onward instanceof HTMLFormElement) HTMLFormElement.prototype.submit.call(onward);
  else location.assign(onward?.href ?? place);
}

function say(text) {
  trouble.textContent = text;
  trouble.hidden = false;
}

const numeric = /^[\d.]+$|:/.test(location.hostname.replace(/^\[/, "")); // passkeys belong to names
if (window.PublicKeyCredential && !numeric) {
  for (const button of buttons) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      button.disabled = true;
      trouble.hidden = true;
      try {
        await run(button);
      } catch (error) {
        // NotAllowedError: the person said no, or there is no passkey; browsers do not tell.
        say(error.name === "NotAllowedError" ? trouble.dataset.refused : error.message || trouble.dataset.failed);
      }
      button.disabled = false;
    });
  }
} else if (window.PublicKeyCredential && numeric) {
  const hint = document.querySelector("[data-passkey-name]");
  const link = hint.querySelector("a");
  link.href = location.protocol + "//localhost:" + location.port + location.pathname;
  hint.hidden = false;
}
