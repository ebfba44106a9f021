// The page: two slots and options in; on "Compare" one CompareFace and two DetectFace, then what they said.

import { CodePanel } from "./code.js";
import { byId } from "./dom.js";
import { failed, qualities, scored } from "./outcome.js";
import { ENDPOINT, aboutServer, asksForKeys, call } from "./service.js";
import { Slot } from "./slot.js";
import { language, say, switchLanguage, translatePage } from "./text.js";

const FACES = 120; // as many as DetectFace tells, for the page says how many there are
const REMEMBERED = "compareface-key";
const FIELDS = ["secretId", "secretKey", "token"];
const KEY_INPUTS = { secretId: byId("secret-id"), secretKey: byId("secret-key"), token: byId("token") };

const slots = ["A", "B"].map((side) => new Slot(byId(`slot-${side.toLowerCase()}`), side, forget));
const code = new CodePanel(announce);
const state = { about: null, needsKey: false, isBusy: false, result: null };

function credentials() {
  return state.needsKey ? Object.fromEntries(FIELDS.map((name) => [name, KEY_INPUTS[name].value.trim()])) : null;
}

function options() {
  const model = byId("face-model-version").value;
  const level = Number(byId("quality-control").value);
  return {
    ...(model && { FaceModelVersion: model }),
    ...(level && { QualityControl: level }),
    ...rotation(),
  };
}

function rotation() {
  return byId("rotate").checked ? { NeedRotateDetection: 1 } : {};
}

function missing() {
  if (!slots.every((slot) => slot.picture)) return "missingPictures";
  const key = credentials();
  return key && !(key.secretId && key.secretKey) ? "missingKey" : "";
}

async function compare(event) {
  event.preventDefault();
  if (state.isBusy) return;
  await Promise.all(slots.map((slot) => slot.made));
  if (state.isBusy) return; // somebody pressed twice while a photo was being made smaller
  const lack = missing();
  byId("missing").textContent = lack && say(lack);
  if (lack) announce(say(lack));
  if (lack) return lack === "missingKey" ? KEY_INPUTS.secretId.focus() : slots.find((slot) => !slot.picture).file.focus();
  setBusy(true);
  const version = byId("version").value;
  const how = { credentials: credentials(), language: language() === "zh" ? "zh-CN" : "en-US" };
  const chosen = options();
  const parameters = { ...slots[0].parameters(), ...slots[1].parameters(), ...chosen };
  const pictures = slots.map((slot) => slot.picture);
  const result = await call("CompareFace", version, parameters, how);
  if (slots.some((slot, index) => slot.picture !== pictures[index])) return setBusy(false); // of pictures no longer there
  state.result = result;
  code.show({
    endpoint: ENDPOINT,
    request: result.request,
    version,
    secretId: how.credentials?.secretId,
    hasToken: Boolean(how.credentials?.token),
    pictures: slots.map((slot) => ({ side: slot.side, url: slot.picture.url })),
    options: chosen,
  });
  showOutcome();
  byId("outcome").scrollIntoView({ block: "nearest" });
  announce(byId("outcome").querySelector(".headline, .error").innerText); // not textContent, which has no spaces between its parts
  if (mayLook(result)) await Promise.all(slots.map((slot) => look(slot, version, how)));
  showOutcome();
  setBusy(false);
}

// Who is refused for the key, or by a server that is gone, need not be refused twice more.
function mayLook({ error }) {
  return !error?.isLocal && !error?.code.startsWith("AuthFailure") && !error?.code.startsWith("MissingParameter");
}

async function look(slot, version, how) {
  const wanted = { MaxFaceNum: FACES, NeedFaceAttributes: 1, NeedQualityDetection: 1, NeedLandmarks: 1 };
  const model = byId("face-model-version").value;
  const parameters = { ...slot.parameters(""), ...wanted, ...rotation(), ...(model && { FaceModelVersion: model }) };
  const { picture } = slot;
  const detection = await call("DetectFace", version, parameters, how);
  if (slot.picture === picture) slot.found(detection);
}

function showOutcome() {
  const { result, about } = state;
  byId("outcome").hidden = !result;
  if (!result) return;
  const table = qualities(slots.map((slot) => slot.detection));
  byId("outcome").replaceChildren(...(result.error ? [failed(result)] : scored(result, about)), ...(table ? [table] : []));
}

function forget() {
  byId("missing").textContent = "";
  if (!state.result) return;
  state.result = null;
  slots.forEach((slot) => slot.detection && slot.found(null));
  showOutcome();
  code.hide();
}

function setBusy(isBusy) {
  state.isBusy = isBusy;
  byId("compare").setAttribute("aria-disabled", String(isBusy));
  byId("compare").textContent = say(isBusy ? "comparing" : "compare");
}

function announce(text) {
  byId("status").textContent = text;
}

function translate() {
  translatePage();
  byId("language").textContent = say("otherLanguage");
  byId("language").lang = language() === "en" ? "zh-CN" : "en";
  byId("missing").textContent = "";
  const { about } = state;
  byId("server").textContent = about?.engine ? say("running", { version: about.version, pack: about.engine.pack, device: about.engine.device }) : "";
  slots.forEach((slot) => slot.draw());
  setBusy(state.isBusy);
  showOutcome();
  code.draw();
}

function remember() {
  if (byId("remember").checked) sessionStorage.setItem(REMEMBERED, JSON.stringify(credentials()));
  else sessionStorage.removeItem(REMEMBERED);
}

function recall() {
  const kept = JSON.parse(sessionStorage.getItem(REMEMBERED) ?? "null");
  if (!kept) return;
  byId("remember").checked = true;
  for (const name of FIELDS) KEY_INPUTS[name].value = kept[name];
}

// A pasted picture goes to the slot that has focus, else to the first empty one.
function pasted(event) {
  const [file] = event.clipboardData.files;
  if (!file) return;
  event.preventDefault();
  const slot = slots.find((each) => each.root.contains(document.activeElement)) ?? slots.find((each) => !each.picture) ?? slots[1];
  slot.take(file);
}

byId("form").addEventListener("submit", compare);
byId("language").addEventListener("click", () => {
  switchLanguage();
  translate();
});
byId("keys").addEventListener("input", remember);
document.addEventListener("paste", pasted);
for (const name of ["dragover", "drop"]) document.addEventListener(name, (event) => event.preventDefault());

translate();
[state.needsKey, state.about] = await Promise.all([asksForKeys(), aboutServer()]);
byId("keys").hidden = !state.needsKey;
recall();
translate();
document.documentElement.dataset.ready = "yes";
