// The page: two photos and options. "Compare" calls CompareFace once and DetectFace per photo, and shows the results.

import { CodePanel } from "./code_panel.js";
import { byId } from "./dom.js";
import { errorElement, qualityDetails, scoreElements } from "./result.js";
import { ENDPOINT, call, requiresSignature, serverInfo } from "./client.js";
import { PhotoInput } from "./photo_input.js";
import { language, switchLanguage, translate, translatePage } from "./i18n.js";

const MAX_FACES = 120; // the maximum of DetectFace, because the page shows the number of faces
const STORAGE_KEY = "compareface-key";
const SETTINGS_ERRORS = ["AuthFailure", "InvalidParameterValue.NoFaceInPhoto"]; // their remedy is a key or an option
const KEY_INPUTS = { secretId: byId("secret-id"), secretKey: byId("secret-key"), token: byId("token") };

const photoInputs = ["A", "B"].map((side) => new PhotoInput(byId(`photo-${side.toLowerCase()}`), side, clearResult));
const codePanel = new CodePanel(announce);
const state = { server: null, needsKey: false, isBusy: false, result: null, hasSucceeded: false };

function keyValues() {
  return Object.fromEntries(Object.entries(KEY_INPUTS).map(([name, input]) => [name, input.value.trim()]));
}

function modelVersion() {
  const version = byId("face-model-version").value;
  return version ? { FaceModelVersion: version } : {};
}

function rotation() {
  return byId("rotate").checked ? { NeedRotateDetection: 1 } : {};
}

function compareOptions() {
  const level = Number(byId("quality-control").value);
  return { ...modelVersion(), ...(level && { QualityControl: level }), ...rotation() };
}

// The key of the text that says what the user has to add first, or "".
function missingInput(credentials) {
  if (!photoInputs.every((input) => input.image)) return "missingPhotos";
  return credentials && !(credentials.secretId && credentials.secretKey) ? "missingKey" : "";
}

function reportMissing(key) {
  byId("missing").textContent = key && translate(key);
  if (!key) return;
  announce(translate(key));
  if (key === "missingKey") {
    byId("settings").open = true;
    KEY_INPUTS.secretId.focus();
  } else photoInputs.find((input) => !input.image).fileInput.focus();
}

async function compare(event) {
  event.preventDefault();
  if (state.isBusy) return;
  await Promise.all(photoInputs.map((input) => input.pending));
  if (state.isBusy) return; // a second click while a photo was being converted
  const credentials = state.needsKey ? keyValues() : null;
  const missing = missingInput(credentials);
  reportMissing(missing);
  if (missing) return;
  clearResult();
  setBusy(true);
  const version = byId("version").value;
  const caller = { credentials, language: language() === "zh" ? "zh-CN" : "en-US" };
  const options = compareOptions();
  const images = photoInputs.map((input) => input.image);
  const result = await call("CompareFace", version, { ...photoInputs[0].parameters(), ...photoInputs[1].parameters(), ...options }, caller);
  if (photoInputs.some((input, index) => input.image !== images[index])) return setBusy(false); // photos have been replaced
  state.result = result;
  codePanel.show({
    endpoint: ENDPOINT,
    request: result.request,
    version,
    secretId: credentials?.secretId,
    hasToken: Boolean(credentials?.token),
    images: photoInputs.map(({ side, image }) => ({ side, url: image.url })),
    options,
  });
  showSettings(result);
  renderResult();
  byId("result").scrollIntoView({ block: "nearest" });
  announce(byId("result").querySelector(".headline, .error").innerText); // textContent has no spaces between elements
  if (mayDetect(result)) await Promise.all(photoInputs.map((input) => detect(input, version, caller)));
  renderResult();
  setBusy(false);
}

// Collapses key and options after the first success, and opens them if one of them is the remedy of an error.
function showSettings({ error }) {
  if (SETTINGS_ERRORS.some((code) => error?.code.startsWith(code))) byId("settings").open = true;
  if (error || state.hasSucceeded) return;
  state.hasSucceeded = true;
  byId("settings").open = false;
}

// Whether DetectFace can succeed: not after an error of the key or of the connection.
function mayDetect({ error }) {
  return !error?.isLocal && !error?.code.startsWith("AuthFailure") && !error?.code.startsWith("MissingParameter");
}

async function detect(input, version, caller) {
  const outputs = { MaxFaceNum: MAX_FACES, NeedFaceAttributes: 1, NeedQualityDetection: 1, NeedLandmarks: 1 };
  const { image } = input;
  const detection = await call("DetectFace", version, { ...input.parameters(""), ...outputs, ...rotation(), ...modelVersion() }, caller);
  if (input.image === image) input.setDetection(detection);
}

function renderResult() {
  const { result, server } = state;
  byId("result").hidden = !result;
  if (!result) return byId("result").replaceChildren();
  const quality = qualityDetails(photoInputs.map((input) => input.detection));
  byId("result").replaceChildren(...(result.error ? [errorElement(result)] : scoreElements(result, server)), ...(quality ? [quality] : []));
}

function clearResult() {
  byId("missing").textContent = "";
  if (!state.result) return;
  state.result = null;
  photoInputs.forEach((input) => input.detection && input.setDetection(null));
  renderResult();
  codePanel.hide();
}

function setBusy(isBusy) {
  state.isBusy = isBusy;
  byId("compare").setAttribute("aria-disabled", String(isBusy));
  byId("compare").textContent = translate(isBusy ? "comparing" : "compare");
}

async function swap() {
  await Promise.all(photoInputs.map((input) => input.pending));
  photoInputs[0].swap(photoInputs[1]);
}

// Passes a text to screen readers.
function announce(text) {
  byId("status").textContent = text;
}

function render() {
  translatePage();
  byId("language").textContent = translate("otherLanguage");
  byId("language").lang = language() === "en" ? "zh-CN" : "en";
  byId("docs").href = `docs?language=${document.documentElement.lang}`;
  byId("missing").textContent = "";
  const { server } = state;
  byId("server").textContent = server?.engine ? translate("serverInfo", { version: server.version, pack: server.engine.pack, device: server.engine.device }) : "";
  const unfit = Object.keys(server?.engine?.unfit ?? {});
  byId("unfit").hidden = !unfit.length;
  byId("unfit").textContent = unfit.map((pack) => translate("unfit", { pack })).join(" ");
  photoInputs.forEach((input) => input.render());
  setBusy(state.isBusy);
  renderResult();
  codePanel.render();
}

function storeKey() {
  if (byId("remember").checked) sessionStorage.setItem(STORAGE_KEY, JSON.stringify(keyValues()));
  else sessionStorage.removeItem(STORAGE_KEY);
}

function restoreKey() {
  const stored = JSON.parse(sessionStorage.getItem(STORAGE_KEY) ?? "null");
  if (!stored) return;
  byId("remember").checked = true;
  for (const [name, input] of Object.entries(KEY_INPUTS)) input.value = stored[name];
}

// A pasted image goes to the photo input with focus, else to the first empty one.
function handlePaste(event) {
  const [file] = event.clipboardData.files;
  if (!file) return;
  event.preventDefault();
  const target = photoInputs.find(({ root }) => root.contains(document.activeElement)) ?? photoInputs.find(({ image }) => !image) ?? photoInputs[1];
  target.setFile(file);
}

byId("form").addEventListener("submit", compare);
byId("swap").addEventListener("click", swap);
byId("language").addEventListener("click", () => {
  switchLanguage();
  render();
});
byId("keys").addEventListener("input", storeKey);
document.addEventListener("paste", handlePaste);
for (const name of ["dragover", "drop"]) document.addEventListener(name, (event) => event.preventDefault());

render();
[state.needsKey, state.server] = await Promise.all([requiresSignature(), serverInfo()]);
byId("keys").hidden = !state.needsKey;
restoreKey();
render();
document.documentElement.dataset.ready = "yes";
