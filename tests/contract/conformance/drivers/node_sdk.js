// Conformance driver of the vendor's Node SDK: reads jobs from standard input and writes outcomes to standard output.
"use strict";
const { readFileSync } = require("fs");
const { iai } = require("tencentcloud-sdk-nodejs");
const { AbstractClient } = require("tencentcloud-sdk-nodejs/tencentcloud/common/abstract_client");
const { version } = require("tencentcloud-sdk-nodejs/package.json");

const typedClients = { "2018-03-01": iai.v20180301.Client, "2020-03-03": iai.v20200303.Client };

const EMPTY_OUTCOME = {
  ok: false, score: null, face_model_version: "", request_id: "", code: "", message: "", exception: "", unsupported: "",
};

function unsupported(job) {
  if (job.unsigned) return "the Node SDK always signs the payload";
  if (job.attempts > 1) return "the Node SDK does not retry";
  if (job.skip && version.startsWith("4.0.")) return "this Node SDK always signs";
  if (job.skip && job.sign !== "TC3-HMAC-SHA256") return "the Node SDK skips only TC3 signatures";
  return "";
}

function config(job) {
  const profile = {
    signMethod: job.sign,
    httpProfile: { reqMethod: job.method, endpoint: job.endpoint },
  };
  if (!job.authority) profile.httpProfile.protocol = "http://";
  if (job.language) profile.language = job.language;
  // Programs that read the token from their environment pass undefined; old releases send it as text.
  const credential = { secretId: job.secret_id, secretKey: job.secret_key, token: job.token || undefined };
  return { credential, region: "", profile };
}

// Returns a function that makes the call of the job once.
function caller(job) {
  if (job.untyped || job.action !== "CompareFace") {
    const client = new AbstractClient(job.endpoint, job.version, config(job));
    return () => client.request(job.action, job.params, { skipSign: job.skip });
  }
  const client = new typedClients[job.version](config(job));
  if (job.skip) return () => client.request("CompareFace", job.params, { skipSign: true });
  return () => client.CompareFace(job.params);
}

async function successfulOutcome(job) {
  const call = caller(job);
  let response;
  for (let i = 0; i < job.times; i++) response = await call();
  return {
    ok: true,
    score: response.Score ?? null,
    face_model_version: response.FaceModelVersion ?? "",
    request_id: response.RequestId ?? "",
  };
}

async function outcome(job) {
  const reason = unsupported(job);
  if (reason) return { ...EMPTY_OUTCOME, name: job.name, unsupported: reason };
  try {
    return { ...EMPTY_OUTCOME, name: job.name, ...(await successfulOutcome(job)) };
  } catch (error) {
    return {
      ...EMPTY_OUTCOME,
      name: job.name,
      request_id: error.requestId ?? "",
      code: error.code ?? "",
      message: error.message,
      exception: error.constructor.name,
    };
  }
}

(async () => {
  const outcomes = [];
  for (const job of JSON.parse(readFileSync(0, "utf8"))) outcomes.push(await outcome(job));
  process.stdout.write(JSON.stringify(outcomes));
})();
