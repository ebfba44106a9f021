// One call of the service: action and parameters in, { response | error, requestId, request, milliseconds } out.

import { utf8 } from "./sha256.js";
import { headers } from "./tc3.js";

export const ENDPOINT = new URL(".", location.href);
const FOR_A_HEADER = /^[!-~]*$/;

export async function call(action, version, parameters, { credentials, language }) {
  const text = JSON.stringify(parameters);
  const body = utf8(text);
  const timestamp = Math.floor(Date.now() / 1000);
  if (credentials && !FOR_A_HEADER.test(credentials.secretId + credentials.token)) return refused("badSecretId");
  const request = { body: text, headers: headers(action, version, { credentials, language, host: ENDPOINT.host, body, timestamp }) };
  const begun = performance.now();
  try {
    const answer = await fetch(ENDPOINT, { method: "POST", headers: request.headers, body, cache: "no-store", credentials: "omit" });
    const { RequestId: requestId, Error: error, ...response } = (await answer.json()).Response;
    const milliseconds = performance.now() - begun;
    return error
      ? { error: { code: error.Code, message: error.Message }, requestId, request, milliseconds }
      : { response, requestId, request, milliseconds };
  } catch { // nobody is there, or a proxy speaks for itself
    return { ...refused("unreachable"), request };
  }
}

// Whether calls need a signature: an unsigned one without pictures gets as far as the pictures only where they do not.
export async function asksForKeys() {
  const { error } = await call("CompareFace", "2020-03-03", {}, { language: "en-US" });
  return error?.code !== "InvalidParameterValue.ImageEmpty";
}

export async function aboutServer() {
  try {
    return await (await fetch(new URL("version", ENDPOINT), { credentials: "omit" })).json();
  } catch {
    return null;
  }
}

function refused(code) {
  return { error: { code, isLocal: true } };
}
