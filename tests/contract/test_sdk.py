"""The official Python SDK, unmodified, against a live server with real models."""

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


def test_same_person_scores_high_and_different_people_low(live_server: Server) -> None:
    client = sdk_client(live_server)
    same, different = client.CompareFace(compare_request(_A, _SAME)), client.CompareFace(compare_request(_A, _OTHER))
    assert same.Score > 60
    assert different.Score < 40
    assert same.FaceModelVersion == "3.0"
    assert len(same.RequestId) == 36
    assert same.RequestId != different.RequestId


def test_identical_images_score_exactly_100(live_server: Server) -> None:
    assert sdk_client(live_server).CompareFace(compare_request(_A, _A)).Score == 100.0


def test_every_documented_parameter_is_accepted(live_server: Server) -> None:
    request_model = compare_request(_A, _SAME)
    (
        request_model.FaceModelVersion,
        request_model.QualityControl,
        request_model.NeedRotateDetection,
        request_model.FaceMatchingStrategy,
    ) = "2.0", 0, 1, 0
    response = sdk_client(live_server).CompareFace(request_model)
    assert response.FaceModelVersion == "2.0"
    assert response.Score > 90


def test_the_version_of_2018_returns_the_same_score(live_server: Server) -> None:
    client = client_2018.IaiClient(
        credential.Credential(live_server.secret_id, live_server.secret_key), "", _profile(live_server)
    )
    request_model = models_2018.CompareFaceRequest()
    request_model.ImageA, request_model.ImageB = (base64.b64encode(data).decode() for data in (_A, _SAME))
    reference = sdk_client(live_server).CompareFace(compare_request(_A, _SAME))
    assert client.CompareFace(request_model).Score == reference.Score


def test_images_are_fetched_from_urls_that_the_operator_allows(live_server: Server, images_url: str) -> None:
    request_model = models.CompareFaceRequest()
    request_model.UrlA, request_model.ImageB = f"{images_url}/astronaut.jpg", base64.b64encode(_A).decode()
    assert sdk_client(live_server).CompareFace(request_model).Score == 100.0


def test_a_url_takes_precedence_over_an_invalid_image(live_server: Server, images_url: str) -> None:
    request_model = compare_request(_A, _A)
    request_model.UrlA, request_model.ImageA = f"{images_url}/astronaut.jpg", "!" * 100
    assert sdk_client(live_server).CompareFace(request_model).Score == 100.0


def test_get_requests_work_like_post_requests(live_server: Server, images_url: str) -> None:
    request_model = models.CompareFaceRequest()
    request_model.UrlA = request_model.UrlB = f"{images_url}/astronaut.jpg"
    request_model.QualityControl = 0
    assert _client(live_server, _profile(live_server, "GET")).CompareFace(request_model).Score == 100.0


def test_an_unsigned_payload_is_accepted(live_server: Server) -> None:
    profile = _profile(live_server)
    profile.unsignedPayload = True
    assert _client(live_server, profile).CompareFace(compare_request(_A, _A)).Score == 100.0


def test_ten_concurrent_requests_return_the_same_score(live_server: Server) -> None:
    async def scores() -> list[float]:
        client = sdk_client(live_server)
        calls = [asyncio.to_thread(client.CompareFace, compare_request(_A, _SAME)) for _ in range(10)]
        return [response.Score for response in await asyncio.gather(*calls)]

    assert len(set(asyncio.run(scores()))) == 1


@pytest.mark.parametrize(
    ("a", "b", "code", "text"),
    [
        (_BLANK, _A, ErrorCode.NO_FACE_IN_PHOTO, "图片中没有人脸。（图片A）"),
        (_A, b"GIF89a", ErrorCode.IMAGE_DECODE_FAILED, "图片解码失败：图片不是 JPEG、PNG 或 BMP 格式。（图片B）"),
    ],
)
def test_errors_arrive_as_the_sdks_exception(
    live_server: Server, a: bytes, b: bytes, code: ErrorCode, text: str
) -> None:
    with pytest.raises(TencentCloudSDKException) as caught:
        sdk_client(live_server).CompareFace(compare_request(a, b))
    assert (caught.value.code, caught.value.message) == (code.value, text)
    assert len(caught.value.requestId) == 36


def test_error_messages_are_in_english_on_request(live_server: Server) -> None:
    profile = _profile(live_server)
    profile.language = "en-US"
    with pytest.raises(TencentCloudSDKException) as caught:
        _client(live_server, profile).CompareFace(compare_request(_A, _BLANK))
    assert caught.value.message == "There are no faces in the image. (image B)"


def test_a_wrong_key_is_rejected(live_server: Server) -> None:
    with pytest.raises(TencentCloudSDKException) as caught:
        _client(live_server, _profile(live_server), key="wrong").CompareFace(compare_request(_A, _A))
    assert caught.value.code == ErrorCode.SIGNATURE_FAILURE.value


def test_quality_control_rejects_a_blurred_image_and_names_the_reason(live_server: Server) -> None:
    request_model = compare_request(_A, _BLURRED)
    request_model.QualityControl = 2
    with pytest.raises(TencentCloudSDKException) as caught:
        sdk_client(live_server).CompareFace(request_model)
    assert caught.value.code == ErrorCode.FACE_QUALITY_NOT_QUALIFIED.value
    assert re.fullmatch("人脸图片质量不符要求：.+。（图片B）", caught.value.message)
    request_model.QualityControl = 0
    assert sdk_client(live_server).CompareFace(request_model).Score > 0


def test_detected_faces_have_the_requested_attributes_and_quality(live_server: Server) -> None:
    request_model = models.DetectFaceRequest()
    request_model.Image, request_model.MaxFaceNum = base64.b64encode(_OTHER).decode(), 10
    request_model.NeedFaceAttributes = request_model.NeedQualityDetection = 1
    response = sdk_client(live_server).DetectFace(request_model)
    assert (response.ImageWidth, response.ImageHeight, response.FaceModelVersion) == (1280, 886, "3.0")
    assert len(response.FaceInfos) == 6
    areas = [face.Width * face.Height for face in response.FaceInfos]
    assert areas == sorted(areas, reverse=True)
    for face in response.FaceInfos:
        assert -20 <= face.X < 1280
        quality, visible = face.FaceQualityInfo, face.FaceQualityInfo.Completeness
        for number in (quality.Score, quality.Sharpness, quality.Brightness, visible.Eye, visible.Mouth, visible.Chin):
            assert type(number) is int
            assert 0 < number <= 100
    attributes = [face.FaceAttributesInfo for face in response.FaceInfos]
    assert all(type(angle) is int for face in attributes for angle in (face.Pitch, face.Yaw, face.Roll))
    assert [face.Mask for face in attributes] == [False] * 6
    assert (attributes[5].Pitch, attributes[5].Yaw, attributes[5].Roll) == (0, 0, 0)
    assert (attributes[0].Gender, attributes[0].Hat, attributes[0].Hair, attributes[0].EyeOpen) == (0, None, None, None)
    assert (attributes[5].Hat, attributes[5].Hair.Length, attributes[5].EyeOpen) == (False, 0, False)


@pytest.mark.parametrize(("client", "module"), [(iai_client, models), (client_2018, models_2018)])
def test_attributes_that_are_not_requested_are_zero_in_both_versions(
    live_server: Server, client: Any, module: Any
) -> None:
    request_model = module.DetectFaceRequest()
    request_model.Image = base64.b64encode(_A).decode()
    key = credential.Credential(live_server.secret_id, live_server.secret_key)
    (face,) = client.IaiClient(key, "", _profile(live_server)).DetectFace(request_model).FaceInfos
    assert min(face.Width, face.Height) > 34
    quality = face.FaceQualityInfo
    assert (quality.Score, quality.Sharpness, quality.Brightness, quality.Completeness.Eye) == (0, 0, 0, 0)
    assert (face.FaceAttributesInfo.Roll, face.FaceAttributesInfo.Mask) == (0, False)


def test_the_common_client_can_request_landmarks(live_server: Server) -> None:
    key = credential.Credential(live_server.secret_id, live_server.secret_key)
    common = CommonClient("iai", "2020-03-03", key, "", _profile(live_server))
    parameters = {"Image": base64.b64encode(_A).decode(), "NeedLandmarks": 1}
    (face,) = common.call_json("DetectFace", parameters)["Response"]["FaceInfos"]
    for point in face["Landmarks"].values():
        assert face["X"] < point["X"] < face["X"] + face["Width"]
        assert face["Y"] < point["Y"] < face["Y"] + face["Height"]
    assert face["Landmarks"]["LeftEye"]["X"] < face["Landmarks"]["Nose"]["X"] < face["Landmarks"]["RightEye"]["X"]


def test_the_error_of_detect_face_names_no_image_letter(live_server: Server) -> None:
    request_model = models.DetectFaceRequest()
    request_model.Image = base64.b64encode(_BLANK).decode()
    with pytest.raises(TencentCloudSDKException) as caught:
        sdk_client(live_server).DetectFace(request_model)
    assert (caught.value.code, caught.value.message) == (ErrorCode.NO_FACE_IN_PHOTO.value, "图片中没有人脸。")


def test_the_common_client_works_without_generated_code(live_server: Server) -> None:
    key = credential.Credential(live_server.secret_id, live_server.secret_key)
    client = CommonClient("iai", "2020-03-03", key, "", _profile(live_server))
    image = base64.b64encode(_A).decode()
    response = client.call_json("CompareFace", {"ImageA": image, "ImageB": image})
    assert json.loads(json.dumps(response))["Response"]["Score"] == 100.0
