"""``make demo``: a real server, the official Python SDK, real faces."""

import json

from app.domain import FaceModelVersion
from app.environment import load_settings
from app.scoring.scale import SCORE_THRESHOLDS
from app.tools.evaluation.percent import percent
from app.tools.models.preparing import prepare_best
from tests.support.images import another_shot, astronaut, cast, jpeg
from tests.support.sdk import compare_request, sdk_client
from tests.support.server import open_without_proxy, running_server

_DOWNLOAD_BUDGET_S = 5.0
"""Seconds for the download of `omz`, as in ``make serve``."""


def main() -> None:
    a, same, other = jpeg(astronaut()), jpeg(another_shot(astronaut()), 70), jpeg(cast())
    models = load_settings().models
    print(prepare_best(models, _DOWNLOAD_BUDGET_S))
    with running_server({"COMPAREFACE_MODELS__PACK": models.pack}) as server:
        print(f"compareface serves on http://{server.endpoint}; calling it with tencentcloud-sdk-python")
        client = sdk_client(server)
        for title, b in (("same person, altered photo", same), ("different people", other)):
            reply = client.CompareFace(compare_request(a, b))
            print(f"{title + ':':<30} Score {reply.Score:6.2f}   RequestId {reply.RequestId}")
        with open_without_proxy(f"http://{server.endpoint}/version") as reply:
            unfit = json.load(reply)["engine"]["unfit"]
    for score, far in SCORE_THRESHOLDS[FaceModelVersion.V3].items():
        print(f"At a threshold of {score:g}, the false-accept rate is {percent(far)}.")
    for sentence in unfit.values():
        print(sentence)


if __name__ == "__main__":
    main()
