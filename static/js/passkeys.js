/**
 * Forms that a passkey answers: `data-passkey` is "create" or "get", with the server's options in `data-options`; "sign-in"
 * asks the form's own address for them, so that nothing is begun for whoever only looks at the page.
 */
import { _ } from "./i18n.js";

const WRONG = {
  NotAllowedError: _("It was cancelled, or took too long. Try again."),
  InvalidStateError: _("There is a passkey for this account on that device already."),
  SecurityError: _("This address cannot use passkeys: they need https and a host name."),
};

const supported = Boolean(window.PublicKeyCredential && navigator.credentials);

const decoded = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));

function encoded(buffer) {
  const text = btoa(String.fromCharCode(...new Uint8Array(buffer)));
  return text.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

const withBytes = (list) => list?.map((one) => ({ ...one, id: decoded(one.id) }));

async function create({ publicKey }, alone) {
  const selection = { ...publicKey.authenticatorSelection };
  // The server checks that whoever made one that is enough alone was asked for a fingerprint, a face or a PIN.
  selection.residentKey = alone ? "required" : "discouraged";
  selection.requireResidentKey = alone;
  if (alone) selection.userVerification = "required";
  return navigator.credentials.create({
    publicKey: {
      ...publicKey,
      authenticatorSelection: selection,
      challenge: decoded(publicKey.challenge),
      user: { ...publicKey.user, id: decoded(publicKey.user.id) },
      excludeCredentials: withBytes(publicKey.excludeCredentials),
    },
  });
}

async function get({ publicKey }) {
  return navigator.credentials.get({
    publicKey: { ...publicKey, challenge: decoded(publicKey.challenge), allowCredentials: withBytes(publicKey.allowCredentials) },
  });
}

async function optionsOf(form) {
  if (form.dataset.passkey !== "sign-in") return JSON.parse(form.dataset.options);
  const response = await fetch(form.action, { headers: { Accept: "application/json" }, signal: AbortSignal.timeout(10_000) });
  if (response.status === 429) throw new Error(_("Too many tries. Wait a minute."));
  if (!response.ok) throw new Error(_("The server did not answer. Try again."));
  return (await response.json()).request_options;
}

/** Return the answer of the browser as the server reads it. */
function answer(credential) {
  const response = {};
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (credential.response[name]) response[name] = encoded(credential.response[name]);
  }
  return {
    id: credential.id,
    rawId: encoded(credential.rawId),
    type: credential.type,
    authenticatorAttachment: credential.authenticatorAttachment,
    clientExtensionResults: credential.getClientExtensionResults(),
    response,
  };
}

async function use(form) {
  const button = form.querySelector("button");
  const said = form.querySelector(".said");
  button.disabled = true;
  said.textContent = "";
  try {
    const options = await optionsOf(form);
    const alone = form.elements.passwordless?.checked ?? false;
    const made = await (form.dataset.passkey === "create" ? create(options, alone) : get(options));
    form.elements.credential.value = JSON.stringify(answer(made));
    form.submit();
  } catch (error) {
    said.dataset.failed = "";
    said.textContent = WRONG[error.name] ?? (error.constructor === Error ? error.message : _("It did not work. Try again."));
    button.disabled = false;
  }
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  form.hidden = !supported;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    use(form);
  });
}
for (const node of document.querySelectorAll("[data-passkeys]")) node.hidden = !supported;
for (const node of document.querySelectorAll("[data-no-passkeys]")) node.hidden = supported;
