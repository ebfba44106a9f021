"""The error catalogue: every code that this service returns, with its English and Chinese text.

Codes and texts of ``iai`` come from the vendor's CompareFace page and the SDK's ``errorcodes.py`` (iai/v20200303).
Texts of common codes come from the vendor's gateway. Clients may rely on the code, not on the text. Only
``api/envelope.py`` turns an error into bytes. ``InternalError`` is never returned: the SDKs' optional circuit
breaker counts it as an outage and then sends requests to Tencent Cloud.
"""

from enum import StrEnum
from typing import NamedTuple


class OperatorError(RuntimeError):
    """An error that an operator can fix. The message says what to change; the CLI prints it without a traceback."""


class Text(NamedTuple):
    """One message in both languages of the API."""

    en: str
    zh: str


class ErrorCode(StrEnum):
    """A code of the API. The member's value is the exact string that clients compare."""

    text: Text

    def __new__(cls, code: str, en: str, zh: str) -> "ErrorCode":
        member = str.__new__(cls, code)
        member._value_ = code
        member.text = Text(en, zh)
        return member

    # gateway
    UNSUPPORTED_PROTOCOL = (
        "UnsupportedProtocol",
        "HTTP(S) request protocol error; only GET and POST requests are supported.",
        "http(s) 请求协议错误，只支持 GET 和 POST 请求。",
    )
    REQUEST_SIZE_LIMIT_EXCEEDED = (
        "RequestSizeLimitExceeded",
        "The request size exceeds the upper limit.",
        "请求包超过限制大小。",
    )
    MISSING_PARAMETER = ("MissingParameter", "A parameter is missing.", "缺少参数。")
    INVALID_PARAMETER = (
        "InvalidParameter",
        "Incorrect parameter (format, type, etc.).",
        "参数错误（包括参数格式、类型等错误）。",
    )
    INVALID_REQUEST = (
        "InvalidRequest",
        "The multipart format of the request body is incorrect.",
        "请求 body 的 multipart 格式错误。",
    )
    UNKNOWN_PARAMETER = ("UnknownParameter", "Unknown parameter.", "未知参数错误，用户多传未定义的参数会导致错误。")
    INVALID_ACTION = ("InvalidAction", "The request `Action` is invalid or not found.", "接口不存在。")
    NO_SUCH_VERSION = ("NoSuchVersion", "The API version does not exist.", "接口版本不存在。")
    REQUEST_LIMIT_EXCEEDED = (
        "RequestLimitExceeded",
        "The number of requests exceeds the frequency limit.",
        "请求的次数超过了频率限制。",
    )
    INVALID_AUTHORIZATION = (
        "AuthFailure.InvalidAuthorization",
        "The request `Authorization` header does not conform to the TC3-HMAC-SHA256 standard.",
        "请求头部的 Authorization 不符合腾讯云标准。",
    )
    SECRET_ID_NOT_FOUND = (
        "AuthFailure.SecretIdNotFound",
        "The SecretId is not found, please ensure that your SecretId is correct.",
        "SecretId不存在，请输入正确的密钥。",
    )
    SIGNATURE_EXPIRE = (
        "AuthFailure.SignatureExpire",
        "Signature expired. The `Timestamp` and the server time differ too much; synchronize the clocks (NTP).",
        "签名过期。Timestamp 和服务器时间相差过大，请检查本地时间并启用时间同步（NTP）。",
    )
    SIGNATURE_FAILURE = (
        "AuthFailure.SignatureFailure",
        "The provided credentials could not be validated. Please check your signature is correct.",
        "请求签名验证失败，请检查您的签名计算是否正确。",
    )
    TOKEN_FAILURE = ("AuthFailure.TokenFailure", "Token error.", "token 错误。")
    UNAUTHORIZED_OPERATION = (
        "AuthFailure.UnauthorizedOperation",
        "You are not authorized to perform this operation. Ensure that you are using the correct access keys.",
        "您没有权限执行此操作，请确认使用了正确的密钥。",
    )

    # parameters of actions
    PARAMETER_ILLEGAL = ("InvalidParameter.InvalidParameter", "Invalid parameter.", "参数不合法。")
    FACE_MODEL_VERSION_ILLEGAL = (
        "InvalidParameterValue.FaceModelVersionIllegal",
        "The algorithm model version is invalid.",
        "算法模型版本不合法。",
    )
    QUALITY_CONTROL_ILLEGAL = (
        "InvalidParameterValue.QualityControlIllegal",
        "Invalid QualityControl parameter.",
        "QualityControl参数不合法。",
    )
    FACE_NUM_EXCEED = (
        "LimitExceeded.ErrorFaceNumExceed",
        "The number of faces exceeds the limit.",
        "人脸个数超过限制。",
    )
    IMAGE_EMPTY = ("InvalidParameterValue.ImageEmpty", "Empty image.", "图片为空。")

    # images
    URL_ILLEGAL = ("InvalidParameterValue.UrlIllegal", "Invalid URL format.", "URL格式不合法。")
    IMAGE_DOWNLOAD_ERROR = (
        "FailedOperation.ImageDownloadError",
        "An error occurred while downloading the image.",
        "图片下载错误。",
    )
    IMAGE_SIZE_EXCEED = (
        "FailedOperation.ImageSizeExceed",
        "The size of the Base64-encoded image cannot exceed 5 MB.",
        "base64编码后的图片数据大小不超过5M。",
    )
    IMAGE_DECODE_FAILED = ("FailedOperation.ImageDecodeFailed", "Image decoding failed.", "图片解码失败。")
    IMAGE_RESOLUTION_EXCEED = (
        "FailedOperation.ImageResolutionExceed",
        "The image resolution is too high.",
        "图片分辨率过大。",
    )
    IMAGE_RESOLUTION_TOO_SMALL = (
        "FailedOperation.ImageResolutionTooSmall",
        "The image short edge resolution is smaller than 64.",
        "图片短边分辨率小于64。",
    )
    NO_FACE_IN_PHOTO = ("InvalidParameterValue.NoFaceInPhoto", "There are no faces in the image.", "图片中没有人脸。")
    FACE_SIZE_TOO_SMALL = (
        "FailedOperation.FaceSizeTooSmall",
        "The face frame size is smaller than the MinFaceSize value, so the face is filtered out.",
        "人脸框大小小于MinFaceSize设置，人脸被过滤。",
    )
    FACE_QUALITY_NOT_QUALIFIED = (
        "FailedOperation.FaceQualityNotQualified",
        "The face image quality does not meet the requirement.",
        "人脸图片质量不符要求。",
    )

    # service
    REQUEST_TIMEOUT = ("FailedOperation.RequestTimeout", "The backend service timed out.", "后端服务超时。")
    SERVER_ERROR = (
        "FailedOperation.ServerError",
        "The algorithm service is exceptional. Please retry.",
        "算法服务异常，请重试。",
    )


class ApiError(Exception):
    """The only exception that is reported to a client.

    ``text`` replaces the default message of the code. ``image`` ("A" or "B") names the image that caused the error.
    ``reason`` goes to the access log only. None of them contains exception texts, paths, addresses or secrets.
    """

    def __init__(self, code: ErrorCode, text: Text | None = None, *, image: str = "", reason: str = "") -> None:
        super().__init__(code.value)
        self.code = code
        self.text = text or code.text
        self.image = image
        self.reason = reason

    def with_image(self, image: str) -> "ApiError":
        """Return the same error for the image "A" or "B"."""
        return ApiError(self.code, self.text, image=image, reason=self.reason)

    def message(self, *, chinese: bool) -> str:
        """Return the text in English or Chinese, with the name of the image if there is one."""
        if chinese:
            return self.text.zh + (f"（图片{self.image}）" if self.image else "")
        return self.text.en + (f" (image {self.image})" if self.image else "")
