"""The official Python SDK, pointed at a local server."""

import base64

from tencentcloud.common import credential
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.iai.v20200303 import iai_client, models

from tests.support.server import Server


def sdk_client(server: Server) -> iai_client.IaiClient:
    """Return the official client of ``server``."""
    return sdk_client_of(server.endpoint, server.secret_id, server.secret_key)


def sdk_client_of(endpoint: str, secret_id: str, secret_key: str) -> iai_client.IaiClient:
    """Return the official client of a server at ``host:port``; only the endpoint differs from the cloud's."""
    profile = HttpProfile(protocol="http", endpoint=endpoint)
    key = credential.Credential(secret_id, secret_key)
    return iai_client.IaiClient(key, "", ClientProfile(httpProfile=profile))


def compare_request(a: bytes, b: bytes) -> models.CompareFaceRequest:
    """Return the request that compares two encoded images."""
    request = models.CompareFaceRequest()
    request.ImageA, request.ImageB = (base64.b64encode(data).decode() for data in (a, b))
    return request
