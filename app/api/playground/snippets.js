// The request of the page as a signed curl command and as programs with the vendor's SDKs. No text contains the SecretKey.

import { CSHARP, GO, JAVA, NODE, PHP, PYTHON } from "./sdks.js";

const MAX_INLINE_BODY = 4000;

export function curl(endpoint, request) {
  const needsFile = request.body.length > MAX_INLINE_BODY;
  const headers = Object.entries(request.headers).map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`);
  const body = needsFile ? "--data-binary @request.json" : `--data-binary ${quoted(request.body)}`;
  return { text: [`curl -sS ${quoted(endpoint.href)}`, ...headers, body].join(" \\\n  "), needsFile };
}

function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

export function sdkPrograms({ endpoint, version, secretId, hasToken, images, options }) {
  const call = {
    host: endpoint.host,
    scheme: endpoint.protocol.slice(0, -1),
    module: `v${version.replaceAll("-", "")}`,
    id: secretId || "any-id",
    hasToken,
    images,
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
