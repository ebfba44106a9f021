// Headers of requests signed with TC3-HMAC-SHA256, the vendor's "Signature Method v3"; names as in app/api/auth/tc3.py.

import { hex, hmac, sha256, utf8 } from "./sha256.js";

const ALGORITHM = "TC3-HMAC-SHA256";
const SERVICE = "iai";
const SIGNED_HEADERS = "content-type;host";
export const CONTENT_TYPE = "application/json";

export function authorization({ secretId, secretKey, host, body, timestamp }) {
  const date = new Date(timestamp * 1000).toISOString().slice(0, 10);
  const scope = `${date}/${SERVICE}/tc3_request`;
  const canonicalRequest = ["POST", "/", "", `content-type:${CONTENT_TYPE}\nhost:${host}\n`, SIGNED_HEADERS, hex(sha256(body))];
  const stringToSign = [ALGORITHM, timestamp, scope, hex(sha256(utf8(canonicalRequest.join("\n"))))].join("\n");
  const signingKey = [date, SERVICE, "tc3_request"].reduce((key, part) => hmac(key, utf8(part)), utf8(`TC3${secretKey}`));
  const signature = hex(hmac(signingKey, utf8(stringToSign)));
  return `${ALGORITHM} Credential=${secretId}/${scope}, SignedHeaders=${SIGNED_HEADERS}, Signature=${signature}`;
}

export function headers(action, version, { credentials, language, host, body, timestamp }) {
  const common = {
    "Content-Type": CONTENT_TYPE,
    "X-TC-Action": action,
    "X-TC-Version": version,
    "X-TC-Timestamp": String(timestamp),
    "X-TC-Language": language,
  };
  if (!credentials) return common;
  const signed = { ...common, Authorization: authorization({ ...credentials, host, body, timestamp }) };
  return credentials.token ? { ...signed, "X-TC-Token": credentials.token } : signed;
}
