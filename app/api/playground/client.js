// Calls the service: action and parameters -> { response | error, requestId, request, milliseconds }.

import { utf8 } from "./sha256.js";
import { headers } from "./tc3.js";

export const ENDPOINT = new URL(".", location.href);
const VISIBLE_ASCII = /^[!-~]*$/; // characters allowed in a header value

export async function call(action, version, parameters, { credentials, language }) {
  const text = JSON.stringify(parameters);
  const body = utf8(text);
  const timestamp = Math.floor(Date.now() / 1000);
  if (credentials && !VISIBLE_ASCII.test(credentials.secretId + credentials.token)) return localError("badSecretId");
  const request = { body: text, headers: headers(action, version, { credentials, language, host: ENDPOINT.host, body, timestamp }) };
  const started = performance.now();
  try {
    const reply = await fetch(ENDPOINT, { method: "POST", headers: request.headers, body, cache: "no-store", credentials: "omit" });
    const { RequestId: requestId, Error: error, ...response } = (await reply.json()).Response;
    const milliseconds = performance.now() - started;
    return error
      ? { error: { code: error.Code, message: error.Message }, requestId, request, milliseconds }
      : { response, requestId, request, milliseconds };
  } catch { // no server, or the reply of a proxy
    return { ...localError("unreachable"), request };
  }
}

// Whether the server requires signatures. If not, an unsigned request without images fails for lack of images.
export async function requiresSignature() {
  const { error } = await call("CompareFace", "2020-03-03", {}, { language: "en-US" });
  return error?.code !== "InvalidParameterValue.ImageEmpty";
}

// Version and engine of the server, or null.
export async function serverInfo() {
  try {
    return await (await fetch(new URL("version", ENDPOINT), { credentials: "omit" })).json();
  } catch {
    return null;
  }
}

function localError(code) {
  return { error: { code, isLocal: true } };
}
