"""Conformance driver of the vendor's Python SDK: jobs on standard input, outcomes on standard output.

Runs in the environment of the SDK under test, which may be as old as 3.0.300 (2020). Argument: ``sync`` or ``async``.
"""

from __future__ import annotations

import asyncio
import json
import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from tencentcloud.common.credential import Credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile

Job = dict[str, Any]

SUFFIX = {"sync": "", "async": "_async"}[sys.argv[1]]
NOTHING = {
    "ok": False,
    "score": None,
    "face_model_version": "",
    "request_id": "",
    "code": "",
    "message": "",
    "exception": "",
    "unsupported": "",
}


class UnsupportedError(Exception):
    """This SDK has no such option."""


def sdk_module(name: str, without: str) -> Any:
    """Import a module that older SDKs may lack."""
    if find_spec(name) is None:
        raise UnsupportedError(without)
    return import_module(name)


def profile(job: Job) -> ClientProfile:
    http = HttpProfile(protocol="http", endpoint=job["endpoint"], reqMethod=job["method"])
    made = ClientProfile(signMethod=job["sign"], httpProfile=http)
    made.unsignedPayload = job["unsigned"]
    if job["language"]:
        made.language = job["language"]
    if job["attempts"] > 1:
        retry = sdk_module(f"tencentcloud.common.retry{SUFFIX}", "this SDK does not retry")
        made.retryer = retry.StandardRetryer(max_attempts=job["attempts"])
    return made


def generic_client(job: Job) -> Any:
    module = sdk_module(f"tencentcloud.common.common_client{SUFFIX}", "this SDK has no generic client")
    return module.CommonClient("iai", job["version"], credential(job), "", profile(job))


def credential(job: Job) -> Credential:
    return Credential(job["secret_id"], job["secret_key"], job["token"] or None)


def typed(job: Job) -> tuple[Any, Any]:
    """Return the client and the request of the generated classes."""
    package = f"tencentcloud.iai.v{job['version'].replace('-', '')}"
    request = import_module(f"{package}.models").CompareFaceRequest()
    for name, value in job["params"].items():
        if not hasattr(request, name):
            raise UnsupportedError(f"the CompareFaceRequest of this SDK has no {name}")
        setattr(request, name, value)
    return import_module(f"{package}.iai_client{SUFFIX}").IaiClient(credential(job), "", profile(job)), request


def is_generic(job: Job) -> bool:
    return bool(job["untyped"] or job["skip"] or job["action"] != "CompareFace")


def call(job: Job) -> dict[str, Any]:
    options = {"SkipSign": job["skip"]}
    if is_generic(job):
        client = generic_client(job)
        for _ in range(job["times"]):
            answer = client.call_json(job["action"], job["params"], options=options)["Response"]
        return dict(answer)
    client, request = typed(job)
    for _ in range(job["times"]):
        answer = client.CompareFace(request)
    return vars_of(answer)


async def call_async(job: Job) -> dict[str, Any]:
    options = {"SkipSign": job["skip"]}
    if is_generic(job):
        async with generic_client(job) as client:
            for _ in range(job["times"]):
                answer = await client.call_and_deserialize(job["action"], job["params"], opts=options)
        return dict(answer["Response"])
    client, request = typed(job)
    async with client:
        for _ in range(job["times"]):
            answer = await client.CompareFace(request)
    return vars_of(answer)


def vars_of(answer: Any) -> dict[str, Any]:
    return {name: getattr(answer, name) for name in ("Score", "FaceModelVersion", "RequestId")}


def outcome(job: Job) -> dict[str, Any]:
    try:
        answer = asyncio.run(call_async(job)) if SUFFIX else call(job)
    except UnsupportedError as reason:
        return {**NOTHING, "name": job["name"], "unsupported": str(reason)}
    except TencentCloudSDKException as error:
        return {
            **NOTHING,
            "name": job["name"],
            "code": error.get_code(),
            "message": error.get_message(),
            "request_id": error.get_request_id() or "",
            "exception": type(error).__name__,
        }
    return {
        **NOTHING,
        "name": job["name"],
        "ok": True,
        "score": answer["Score"],
        "face_model_version": answer["FaceModelVersion"],
        "request_id": answer["RequestId"],
    }


if __name__ == "__main__":
    json.dump([outcome(job) for job in json.load(sys.stdin)], sys.stdout)
