"""Conformance driver of the vendor's Python SDK: reads jobs from standard input, writes outcomes to standard output.

It runs in the environment of the SDK under test, which may be from 2020 (3.0.300). Argument: ``sync`` or ``async``.
"""

import asyncio
import json
import sys
from http.client import InvalidURL
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from tencentcloud.common.credential import Credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile

Job = dict[str, Any]

SUFFIX = {"sync": "", "async": "_async"}[sys.argv[1]]
EMPTY_OUTCOME = {
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


def sdk_module(name: str, reason: str) -> Any:
    """Import a module; raise ``UnsupportedError(reason)`` if this SDK lacks it."""
    if find_spec(name) is None:
        raise UnsupportedError(reason)
    return import_module(name)


def profile(job: Job) -> ClientProfile:
    protocol = None if job["authority"] else "http"
    http = HttpProfile(protocol, job["endpoint"], job["method"])
    if job["authority"] and not SUFFIX:  # the async client reads SSL_CERT_FILE instead
        http.certification = job["authority"]
    client_profile = ClientProfile(signMethod=job["sign"], httpProfile=http)
    client_profile.unsignedPayload = job["unsigned"]
    if job["language"]:
        client_profile.language = job["language"]
    if job["attempts"] > 1:
        retry = sdk_module(f"tencentcloud.common.retry{SUFFIX}", "this SDK does not retry")
        client_profile.retryer = retry.StandardRetryer(max_attempts=job["attempts"])
    return client_profile


def generic_client(job: Job) -> Any:
    module = sdk_module(f"tencentcloud.common.common_client{SUFFIX}", "this SDK has no generic client")
    return module.CommonClient("iai", job["version"], credential(job), "", profile(job))


def credential(job: Job) -> Credential:
    return Credential(job["secret_id"], job["secret_key"], job["token"] or None)


def typed(job: Job) -> tuple[Any, Any]:
    """Return a client and a request of the generated classes."""
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
            response = client.call_json(job["action"], job["params"], options=options)["Response"]
        return dict(response)
    client, request = typed(job)
    for _ in range(job["times"]):
        response = client.CompareFace(request)
    return response_fields(response)


async def call_async(job: Job) -> dict[str, Any]:
    options = {"SkipSign": job["skip"]}
    if is_generic(job):
        async with generic_client(job) as client:
            for _ in range(job["times"]):
                response = await client.call_and_deserialize(job["action"], job["params"], opts=options)
        return dict(response["Response"])
    client, request = typed(job)
    async with client:
        for _ in range(job["times"]):
            response = await client.CompareFace(request)
    return response_fields(response)


def response_fields(response: Any) -> dict[str, Any]:
    return {name: getattr(response, name) for name in ("Score", "FaceModelVersion", "RequestId")}


def outcome(job: Job) -> dict[str, Any]:
    try:
        response = asyncio.run(call_async(job)) if SUFFIX else call(job)
    except (UnsupportedError, InvalidURL) as reason:  # releases of 2020 accept no path in the endpoint
        return {**EMPTY_OUTCOME, "name": job["name"], "unsupported": str(reason)}
    except TencentCloudSDKException as error:
        return {
            **EMPTY_OUTCOME,
            "name": job["name"],
            "code": error.get_code(),
            "message": error.get_message(),
            "request_id": error.get_request_id() or "",
            "exception": type(error).__name__,
        }
    return {
        **EMPTY_OUTCOME,
        "name": job["name"],
        "ok": True,
        "score": response["Score"],
        "face_model_version": response["FaceModelVersion"],
        "request_id": response["RequestId"],
    }


if __name__ == "__main__":
    json.dump([outcome(job) for job in json.load(sys.stdin)], sys.stdout)
