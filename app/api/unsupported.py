"""The vendor's other error codes: those that this service never answers, with the reason. Data only,
for ``/openapi.json`` and the documentation.

With ``errors.py`` this is the whole table of the vendor's CompareFace page, what its DetectFace page adds, and the
codes common to all its services.
"""

from __future__ import annotations

from typing import NamedTuple


class UnsupportedCodes(NamedTuple):
    """Codes that have one reason."""

    reason: str
    codes: tuple[str, ...]


UNSUPPORTED_ERROR_CODES = (
    UnsupportedCodes(
        "SDK region breakers count it as an outage and send pictures to the cloud: `FailedOperation.ServerError`",
        ("InternalError",),
    ),
    UnsupportedCodes(
        "a defect, whichever it is: told as `FailedOperation.ServerError`, which says that a retry may help",
        (
            "FailedOperation",
            "FailedOperation.ImageFacedetectFailed",
            "FailedOperation.RpcFail",
            "FailedOperation.UnKnowError",
            "ServiceUnavailable",
        ),
    ),
    UnsupportedCodes(
        "no parameter but the pictures is required; without one it is `InvalidParameterValue.ImageEmpty`",
        ("MissingParameter.ErrorParameterEmpty",),
    ),
    UnsupportedCodes(
        "told by a code that says more: a parameter's own, `InvalidParameter.InvalidParameter` or `InvalidAction`",
        ("InvalidParameterValue", "UnsupportedOperation", "UnsupportedOperation.UnknowMethod"),
    ),
    UnsupportedCodes(
        "the gateway's other words for what is told as `AuthFailure.UnauthorizedOperation`, "
        "`AuthFailure.SecretIdNotFound` or `RequestLimitExceeded`",
        (
            "AuthFailure.InvalidSecretId",
            "RequestLimitExceeded.GlobalRegionUinLimitExceeded",
            "RequestLimitExceeded.IPLimitExceeded",
            "RequestLimitExceeded.UinLimitExceeded",
            "UnauthorizedOperation",
        ),
    ),
    UnsupportedCodes(
        "a matter of the cloud's accounts: second factors, address lists, dry runs; a firewall does this here",
        ("AuthFailure.MFAFailure", "DryRunOperation", "IpInBlacklist", "IpNotInWhitelist"),
    ),
    UnsupportedCodes(
        "one product, one region, actions that stay: `X-TC-Region` and the product in the signature are not judged",
        ("ActionOffline", "NoSuchProduct", "UnsupportedRegion"),
    ),
    UnsupportedCodes("an answer is a few hundred bytes", ("ResponseSizeLimitExceeded",)),
    UnsupportedCodes(
        "nothing is kept, owned or sold, so no resource or quota can be missing or used up",
        ("LimitExceeded", "ResourceInUse", "ResourceInsufficient", "ResourceNotFound", "ResourceUnavailable"),
    ),
    UnsupportedCodes(
        "billing: there is none",
        (
            "ResourceUnavailable.Delivering",
            "ResourceUnavailable.Freeze",
            "ResourceUnavailable.InArrears",
            "ResourceUnavailable.LowBalance",
            "ResourceUnavailable.NotExist",
            "ResourceUnavailable.Recover",
            "ResourceUnavailable.StopUsing",
            "ResourceUnavailable.UnknownStatus",
            "ResourcesSoldOut.ChargeStatusException",
        ),
    ),
    UnsupportedCodes(
        "groups: no faces are kept, so there are none",
        (
            "FailedOperation.DuplicatedGroupDescription",
            "FailedOperation.GroupInDeletedState",
            "FailedOperation.GroupPersonMapExist",
            "FailedOperation.GroupPersonMapNotExist",
            "InvalidParameterValue.GroupExDescriptionsExceed",
            "InvalidParameterValue.GroupExDescriptionsNameIdentical",
            "InvalidParameterValue.GroupExDescriptionsNameIllegal",
            "InvalidParameterValue.GroupExDescriptionsNameTooLong",
            "InvalidParameterValue.GroupFaceNumExceed",
            "InvalidParameterValue.GroupIdAlreadyExist",
            "InvalidParameterValue.GroupIdIllegal",
            "InvalidParameterValue.GroupIdNotExist",
            "InvalidParameterValue.GroupIdTooLong",
            "InvalidParameterValue.GroupIdsExceed",
            "InvalidParameterValue.GroupNameAlreadyExist",
            "InvalidParameterValue.GroupNameIllegal",
            "InvalidParameterValue.GroupNameTooLong",
            "InvalidParameterValue.GroupNumExceed",
            "InvalidParameterValue.GroupNumPerPersonExceed",
            "InvalidParameterValue.GroupTagIllegal",
            "InvalidParameterValue.GroupTagTooLong",
            "InvalidParameterValue.NoFaceInGroups",
        ),
    ),
    UnsupportedCodes(
        "persons: no faces are kept, so there are none",
        (
            "FailedOperation.ConflictOperation",
            "InvalidParameterValue.AccountFaceNumExceed",
            "InvalidParameterValue.DeleteFaceNumExceed",
            "InvalidParameterValue.PersonExDescriptionInfosExceed",
            "InvalidParameterValue.PersonExDescriptionsNameIdentical",
            "InvalidParameterValue.PersonExDescriptionsNameIllegal",
            "InvalidParameterValue.PersonExDescriptionsNameTooLong",
            "InvalidParameterValue.PersonExistInGroup",
            "InvalidParameterValue.PersonFaceNumExceed",
            "InvalidParameterValue.PersonGenderIllegal",
            "InvalidParameterValue.PersonIdAlreadyExist",
            "InvalidParameterValue.PersonIdIllegal",
            "InvalidParameterValue.PersonIdNotExist",
            "InvalidParameterValue.PersonIdTooLong",
            "InvalidParameterValue.PersonNameIllegal",
            "InvalidParameterValue.PersonNameTooLong",
            "InvalidParameterValue.UploadFaceNumExceed",
        ),
    ),
    UnsupportedCodes(
        "search and lists: no action here looks through faces or answers page by page",
        (
            "FailedOperation.SearchFacesExceed",
            "InvalidParameterValue.LimitExceed",
            "InvalidParameterValue.OffsetExceed",
            "InvalidParameterValue.SearchPersonsExceed",
        ),
    ),
)
"""Every code that ``ErrorCode`` does not have, in groups."""
