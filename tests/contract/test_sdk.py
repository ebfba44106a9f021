"""The official Python SDK, unmodified, against a live server with real models."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from typing import Any

import numpy as np
import pytest
from tencentcloud.common import credential
from tencentcloud.common.common_client import CommonClient
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.iai.v20180301 import iai_client as client_2018
from tencentcloud.iai.v20180301 import models as models_2018
from tencentcloud.iai.v20200303 import iai_client, models

from app.errors import ErrorCode
from tests.support.images import another_shot, astronaut, blurred, cast, jpeg
from tests.support.sdk import compare_request, sdk_client
from tests.support.server import Server

_A, _SAME, _OTHER = jpeg(astronaut()), jpeg(another_shot(astronaut())), jpeg(cast())
_BLURRED = jpeg(blurred(astronaut(), 5))
_BLANK = jpeg(np.full((200, 200, 3), 90, dtype=np.uint8))


def _profile(server: Server, method: str = "POST") -> ClientProfile:
    return ClientProfile(httpProfile=HttpProfile(protocol="http", endpoint=server.endpoint, reqMethod=method))


def _client(server: Server, profile: ClientProfile, key: str = "") -> iai_client.IaiClient:
    return iai_client.IaiClient(credential.Credential(server.secret_id, key or server.secret_key), "", profile)


def test_same_person_scores_high_and_different_people_low(live: Server) -> None:
    client = sdk_client(live)
    same, different = client.CompareFace(compare_request(_A, _SAME)), client.CompareFace(compare_request(_A, _OTHER))
    assert same.Score > 60
    assert different.Score < 40
    assert same.FaceModelVersion == "3.0"
    assert len(same.RequestId) == 36
    assert same.RequestId != different.RequestId


def test_identical_pictures_score_exactly_100(live: Server) -> None:
    assert sdk_client(live).CompareFace(compare_request(_A, _A)).Score == 100.0


def test_every_documented_parameter_is_accepted(live: Server) -> None:
    made = compare_request(_A, _SAME)
    made.FaceModelVersion, made.QualityControl, made.NeedRotateDetection, made.FaceMatchingStrategy = "2.0", 0, 1, 0
    answer = sdk_client(live).CompareFace(made)
    assert answer.FaceModelVersion == "2.0"
    assert answer.Score > 90


def test_the_version_of_2018_is_served_too(live: Server) -> None:
    client = client_2018.IaiClient(credential.Credential(live.secret_id, live.secret_key), "", _profile(live))
    made = models_2018.CompareFaceRequest()
    made.ImageA, made.ImageB = (base64.b64encode(data).decode() for data in (_A, _SAME))
    assert client.CompareFace(made).Score == sdk_client(live).CompareFace(compare_request(_A, _SAME)).Score


def test_pictures_are_fetched_from_urls_that_the_operator_allows(live: Server, pictures: str) -> None:
    made = models.CompareFaceRequest()
    made.UrlA, made.ImageB = f"{pictures}/astronaut.jpg", base64.b64encode(_A).decode()
    assert sdk_client(live).CompareFace(made).Score == 100.0


def test_a_url_wins_over_an_image_which_is_not_even_looked_at(live: Server, pictures: str) -> None:
    made = compare_request(_A, _A)
    made.UrlA, made.ImageA = f"{pictures}/astronaut.jpg", "!" * 100
    assert sdk_client(live).CompareFace(made).Score == 100.0


def test_get_requests_are_signed_and_answered_alike(live: Server, pictures: str) -> None:
    made = models.CompareFaceRequest()
    made.UrlA = made.UrlB = f"{pictures}/astronaut.jpg"
    made.QualityControl = 0
    assert _client(live, _profile(live, "GET")).CompareFace(made).Score == 100.0


def test_an_unsigned_payload_is_accepted(live: Server) -> None:
    profile = _profile(live)
    profile.unsignedPayload = True
    assert _client(live, profile).CompareFace(compare_request(_A, _A)).Score == 100.0


def test_ten_requests_at_once_are_all_answered(live: Server) -> None:
    async def all_at_once() -> list[float]:
        client = sdk_client(live)
        calls = [asyncio.to_thread(client.CompareFace, compare_request(_A, _SAME)) for _ in range(10)]
        return [answer.Score for answer in await asyncio.gather(*calls)]

    assert len(set(asyncio.run(all_at_once()))) == 1


@pytest.mark.parametrize(
    ("a", "b", "code", "text"),
    [
        (_BLANK, _A, ErrorCode.NO_FACE_IN_PHOTO, "图片中没有人脸。（图片A）"),
        (_A, b"GIF89a", ErrorCode.IMAGE_DECODE_FAILED, "图片解码失败：图片不是 JPEG、PNG 或 BMP 格式。（图片B）"),
    ],
)
def test_errors_arrive_as_the_sdks_exception(live: Server, a: bytes, b: bytes, code: ErrorCode, text: str) -> None:
    with pytest.raises(TencentCloudSDKException) as caught:
        sdk_client(live).CompareFace(compare_request(a, b))
    assert (caught.value.code, caught.value.message) == (code.value, text)
    assert len(caught.value.requestId) == 36


def test_english_speakers_get_english(live: Server) -> None:
    profile = _profile(live)
    profile.language = "en-US"
    with pytest.raises(TencentCloudSDKException) as caught:
        _client(live, profile).CompareFace(compare_request(_A, _BLANK))
    assert caught.value.message == "There are no faces in the image. (image B)"


def test_a_wrong_key_is_refused(live: Server) -> None:
    with pytest.raises(TencentCloudSDKException) as caught:
        _client(live, _profile(live), key="wrong").CompareFace(compare_request(_A, _A))
    assert caught.value.code == ErrorCode.SIGNATURE_FAILURE.value


def test_a_blurred_picture_is_refused_by_quality_control_and_the_message_says_so(live: Server) -> None:
    made = compare_request(_A, _BLURRED)
    made.QualityControl = 2
    with pytest.raises(TencentCloudSDKException) as caught:
        sdk_client(live).CompareFace(made)
    assert caught.value.code == ErrorCode.FACE_QUALITY_NOT_QUALIFIED.value
    assert re.fullmatch("人脸图片质量不符要求：.+。（图片B）", caught.value.message)
    made.QualityControl = 0
    assert sdk_client(live).CompareFace(made).Score > 0


def test_faces_are_detected_with_all_that_is_asked_for(live: Server) -> None:
    made = models.DetectFaceRequest()
    made.Image, made.MaxFaceNum = base64.b64encode(_OTHER).decode(), 10
    made.NeedFaceAttributes = made.NeedQualityDetection = 1
    answer = sdk_client(live).DetectFace(made)
    assert (answer.ImageWidth, answer.ImageHeight, answer.FaceModelVersion) == (1280, 886, "3.0")
    assert len(answer.FaceInfos) == 6
    areas = [face.Width * face.Height for face in answer.FaceInfos]
    assert areas == sorted(areas, reverse=True)
    for face in answer.FaceInfos:
        assert -20 <= face.X < 1280
        quality, visible = face.FaceQualityInfo, face.FaceQualityInfo.Completeness
        for number in (quality.Score, quality.Sharpness, quality.Brightness, visible.Eye, visible.Mouth, visible.Chin):
            assert type(number) is int
            assert 0 < number <= 100
    attributes = [face.FaceAttributesInfo for face in answer.FaceInfos]
    assert all(type(angle) is int for each in attributes for angle in (each.Pitch, each.Yaw, each.Roll))
    assert [each.Mask for each in attributes] == [False] * 6
    assert (attributes[5].Pitch, attributes[5].Yaw, attributes[5].Roll) == (0, 0, 0)
    assert (attributes[0].Gender, attributes[0].Hat, attributes[0].Hair, attributes[0].EyeOpen) == (0, None, None, None)
    assert (attributes[5].Hat, attributes[5].Hair.Length, attributes[5].EyeOpen) == (False, 0, False)


@pytest.mark.parametrize(("client", "of"), [(iai_client, models), (client_2018, models_2018)])
def test_what_is_not_asked_for_is_zero_in_both_versions(live: Server, client: Any, of: Any) -> None:
    made = of.DetectFaceRequest()
    made.Image = base64.b64encode(_A).decode()
    key = credential.Credential(live.secret_id, live.secret_key)
    (face,) = client.IaiClient(key, "", _profile(live)).DetectFace(made).FaceInfos
    assert min(face.Width, face.Height) > 34
    quality = face.FaceQualityInfo
    assert (quality.Score, quality.Sharpness, quality.Brightness, quality.Completeness.Eye) == (0, 0, 0, 0)
    assert (face.FaceAttributesInfo.Roll, face.FaceAttributesInfo.Mask) == (0, False)


def test_landmarks_are_told_to_the_common_client(live: Server) -> None:
    key = credential.Credential(live.secret_id, live.secret_key)
    common = CommonClient("iai", "2020-03-03", key, "", _profile(live))
    asked = {"Image": base64.b64encode(_A).decode(), "NeedLandmarks": 1}
    (face,) = common.call_json("DetectFace", asked)["Response"]["FaceInfos"]
    for point in face["Landmarks"].values():
        assert face["X"] < point["X"] < face["X"] + face["Width"]
        assert face["Y"] < point["Y"] < face["Y"] + face["Height"]
    assert face["Landmarks"]["LeftEye"]["X"] < face["Landmarks"]["Nose"]["X"] < face["Landmarks"]["RightEye"]["X"]


def test_a_picture_without_a_face_is_told_so_without_a_letter(live: Server) -> None:
    made = models.DetectFaceRequest()
    made.Image = base64.b64encode(_BLANK).decode()
    with pytest.raises(TencentCloudSDKException) as caught:
        sdk_client(live).DetectFace(made)
    assert (caught.value.code, caught.value.message) == (ErrorCode.NO_FACE_IN_PHOTO.value, "图片中没有人脸。")


def test_the_common_client_works_without_generated_code(live: Server) -> None:
    key = credential.Credential(live.secret_id, live.secret_key)
    client = CommonClient("iai", "2020-03-03", key, "", _profile(live))
    image = base64.b64encode(_A).decode()
    answer = client.call_json("CompareFace", {"ImageA": image, "ImageB": image})
    assert json.loads(json.dumps(answer))["Response"]["Score"] == 100.0
