"""``make demo``: a real server, the official Python SDK, real faces."""

from __future__ import annotations

import base64

from tencentcloud.common import credential
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.iai.v20200303 import iai_client, models

from tests.support.images import another_shot, astronaut, cast, jpeg
from tests.support.server import Server, running_server


def main() -> None:
    a, same, other = jpeg(astronaut()), jpeg(another_shot(astronaut()), 70), jpeg(cast())
    with running_server() as server:
        print(f"compareface serves on http://{server.endpoint}; calling it with tencentcloud-sdk-python")
        client = sdk_client(server)
        for title, b in (("same person, photograph altered", same), ("different people", other)):
            answer = client.CompareFace(request(a, b))
            print(f"{title + ':':<34} Score {answer.Score:6.2f}   RequestId {answer.RequestId}")
    print("Scores of 40, 50, 60 stand for false-accept rates of 0.1 %, 0.01 %, 0.001 %.")


def sdk_client(server: Server) -> iai_client.IaiClient:
    """The official client, pointed at ``server``: only the endpoint differs from the cloud's."""
    profile = HttpProfile(protocol="http", endpoint=server.endpoint)
    key = credential.Credential(server.secret_id, server.secret_key)
    return iai_client.IaiClient(key, "", ClientProfile(httpProfile=profile))


def request(a: bytes, b: bytes) -> models.CompareFaceRequest:
    made = models.CompareFaceRequest()
    made.ImageA, made.ImageB = (base64.b64encode(data).decode() for data in (a, b))
    return made


if __name__ == "__main__":
    main()
