"""The whole service with the pack `omz`, built from the published files in ``../shared/models``."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

from app.domain import Image
from tests.contract.catalogue import CASES, Case, send
from tests.support.fakes import KEYS_FILE, code_of
from tests.support.images import another_shot, astronaut, blurred, cast, jpeg, shrunk
from tests.support.rotation import rotate
from tests.support.sdk import compare_request, sdk_client
from tests.support.server import Server, running_server

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def omz_server(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    weights = tmp_path_factory.mktemp("weights")
    keys = weights / "keys.toml"
    keys.write_text(KEYS_FILE)
    settings = {"COMPAREFACE_MODELS__WEIGHTS_DIR": str(weights), "COMPAREFACE_MODELS__PACK": "omz"}
    subprocess.run(
        [sys.executable, "-m", "app", "models", "pull", "omz", "--from", str(shared / "models")],
        env={**os.environ, **settings},
        check=True,
        timeout=120,
    )
    access = {"COMPAREFACE_AUTH__KEYS_FILE": str(keys), "COMPAREFACE_FETCH__ALLOW": "127.0.0.1"}
    with running_server({**settings, **access, "COMPAREFACE_MODELS__REQUIRE_FIT": "true"}) as server:
        yield server


def _score(server: Server, a: Image, b: Image, **parameters: int) -> float:
    request = compare_request(jpeg(a), jpeg(b))
    for name, value in parameters.items():
        setattr(request, name, value)
    return float(sdk_client(server).CompareFace(request).Score)


def test_one_person_reaches_the_strict_threshold_and_another_not_the_lenient_one(omz_server: Server) -> None:
    assert _score(omz_server, astronaut(), another_shot(astronaut())) > 80
    assert _score(omz_server, astronaut(), cast()) < 40


def test_a_mirrored_image_keeps_its_score(omz_server: Server) -> None:
    same = another_shot(astronaut())
    mirrored = np.ascontiguousarray(same[:, ::-1])
    assert abs(_score(omz_server, astronaut(), same) - _score(omz_server, astronaut(), mirrored)) < 6


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_rotated_face_needs_the_flag(omz_server: Server, degrees: int) -> None:
    rotated, _ = rotate(astronaut(), None, degrees)
    assert _score(omz_server, astronaut(), rotated, NeedRotateDetection=1) > 90
    with pytest.raises(TencentCloudSDKException) as caught:
        _score(omz_server, astronaut(), rotated)
    assert caught.value.code == "InvalidParameterValue.NoFaceInPhoto"


def test_quality_control_refuses_a_blurred_face(omz_server: Server) -> None:
    assert _score(omz_server, astronaut(), astronaut(), QualityControl=2) == 100
    with pytest.raises(TencentCloudSDKException) as caught:
        _score(omz_server, astronaut(), blurred(astronaut(), 8), QualityControl=2)
    assert caught.value.code == "FailedOperation.FaceQualityNotQualified"


@pytest.mark.parametrize("corner", [(0, 0), (2400, 0), (1000, 1900), (2400, 3500)])
def test_a_face_of_a_fortieth_of_a_large_image_is_detected_at_any_position(
    omz_server: Server, corner: tuple[int, int]
) -> None:
    large = np.full((3000, 4000, 3), 90, dtype=np.uint8)
    small = shrunk(astronaut(), 450)  # its face is about 100 pixels wide
    row, column = corner
    large[row : row + small.shape[0], column : column + small.shape[1]] = small
    assert _score(omz_server, astronaut(), large) > 60


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.code.value}: {case.cause}")
def test_every_error_has_its_code(omz_server: Server, case: Case) -> None:
    assert code_of(send(omz_server, case)) == case.code.value
