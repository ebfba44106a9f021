// The call of the page as others would make it: curl as signed, and programs by name. No SecretKey is ever among the texts.

import { CSHARP, GO, JAVA, NODE, PHP, PYTHON } from "./sdks.js";

const SHORT = 4000;

export function curl(endpoint, request) {
  const isShort = request.body.length <= SHORT;
  const headers = Object.entries(request.headers).map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`);
  const body = isShort ? `--data-binary ${quoted(request.body)}` : "--data-binary @request.json";
  return { text: [`curl -sS ${quoted(endpoint.href)}`, ...headers, body].join(" \\\n  "), needsFile: !isShort };
}

function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

export function sdks({ endpoint, version, secretId, hasToken, pictures, options }) {
  const call = {
    host: endpoint.host,
    scheme: endpoint.protocol.slice(0, -1),
    module: `v${version.replaceAll("-", "")}`,
    id: secretId || "any-id",
    hasToken,
    pictures,
    options: Object.entries(options),
  };
  return {
    Python: PYTHON(call),
    Java: JAVA(call),
    Go: GO(call),
    "Node.js": NODE(call),
    PHP: PHP(call),
    "C#": CSHARP(call),
  };
}
