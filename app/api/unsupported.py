"""The vendor's error codes that this service never returns, with the reason, for ``/openapi.json`` and documentation.

Together with ``ErrorCode``, these are all codes of the vendor's CompareFace and DetectFace pages and all common codes.
"""

_CODES_BY_REASON = {
    "replaced by `FailedOperation.ServerError`: the SDKs' circuit breaker would call Tencent Cloud instead": """
        InternalError
    """,
    "replaced by `FailedOperation.ServerError`, the code of every internal error": """
        FailedOperation FailedOperation.ImageFacedetectFailed FailedOperation.RpcFail
        FailedOperation.UnKnowError ServiceUnavailable
    """,
    "only images are required; without an image the code is `InvalidParameterValue.ImageEmpty`": """
        MissingParameter.ErrorParameterEmpty
    """,
    "replaced by a more specific code: the code of the parameter (for example "
    "`InvalidParameterValue.FaceModelVersionIllegal`), `InvalidParameter.InvalidParameter` or `InvalidAction`": """
        InvalidParameterValue UnsupportedOperation UnsupportedOperation.UnknowMethod
    """,
    "synonym of `AuthFailure.UnauthorizedOperation`, `AuthFailure.SecretIdNotFound` or `RequestLimitExceeded`": """
        AuthFailure.InvalidSecretId RequestLimitExceeded.GlobalRegionUinLimitExceeded
        RequestLimitExceeded.IPLimitExceeded RequestLimitExceeded.UinLimitExceeded UnauthorizedOperation
    """,
    "cloud accounts only: second factors, dry runs, and address lists, which are the task of a firewall here": """
        AuthFailure.MFAFailure DryRunOperation IpInBlacklist IpNotInWhitelist
    """,
    "one product without regions: `X-TC-Region` and the product in the signature are not checked": """
        ActionOffline NoSuchProduct UnsupportedRegion
    """,
    "responses are small": "ResponseSizeLimitExceeded",
    "no resources or quotas: the service stores nothing": """
        LimitExceeded ResourceInUse ResourceInsufficient ResourceNotFound ResourceUnavailable
    """,
    "no billing": """
        ResourceUnavailable.Delivering ResourceUnavailable.Freeze ResourceUnavailable.InArrears
        ResourceUnavailable.LowBalance ResourceUnavailable.NotExist ResourceUnavailable.Recover
        ResourceUnavailable.StopUsing ResourceUnavailable.UnknownStatus ResourcesSoldOut.ChargeStatusException
    """,
    "no groups: the service stores no faces": """
        FailedOperation.DuplicatedGroupDescription FailedOperation.GroupInDeletedState
        FailedOperation.GroupPersonMapExist FailedOperation.GroupPersonMapNotExist
        InvalidParameterValue.GroupExDescriptionsExceed InvalidParameterValue.GroupExDescriptionsNameIdentical
        InvalidParameterValue.GroupExDescriptionsNameIllegal
        InvalidParameterValue.GroupExDescriptionsNameTooLong InvalidParameterValue.GroupFaceNumExceed
        InvalidParameterValue.GroupIdAlreadyExist InvalidParameterValue.GroupIdIllegal
        InvalidParameterValue.GroupIdNotExist InvalidParameterValue.GroupIdTooLong
        InvalidParameterValue.GroupIdsExceed InvalidParameterValue.GroupNameAlreadyExist
        InvalidParameterValue.GroupNameIllegal InvalidParameterValue.GroupNameTooLong
        InvalidParameterValue.GroupNumExceed InvalidParameterValue.GroupNumPerPersonExceed
        InvalidParameterValue.GroupTagIllegal InvalidParameterValue.GroupTagTooLong
        InvalidParameterValue.NoFaceInGroups
    """,
    "no persons: the service stores no faces": """
        FailedOperation.ConflictOperation InvalidParameterValue.AccountFaceNumExceed
        InvalidParameterValue.DeleteFaceNumExceed InvalidParameterValue.PersonExDescriptionInfosExceed
        InvalidParameterValue.PersonExDescriptionsNameIdentical
        InvalidParameterValue.PersonExDescriptionsNameIllegal
        InvalidParameterValue.PersonExDescriptionsNameTooLong InvalidParameterValue.PersonExistInGroup
        InvalidParameterValue.PersonFaceNumExceed InvalidParameterValue.PersonGenderIllegal
        InvalidParameterValue.PersonIdAlreadyExist InvalidParameterValue.PersonIdIllegal
        InvalidParameterValue.PersonIdNotExist InvalidParameterValue.PersonIdTooLong
        InvalidParameterValue.PersonNameIllegal InvalidParameterValue.PersonNameTooLong
        InvalidParameterValue.UploadFaceNumExceed
    """,
    "no search and no lists": """
        FailedOperation.SearchFacesExceed InvalidParameterValue.LimitExceed InvalidParameterValue.OffsetExceed
        InvalidParameterValue.SearchPersonsExceed
    """,
}

UNSUPPORTED_ERROR_CODES = {code: reason for reason, codes in _CODES_BY_REASON.items() for code in codes.split()}
"""The reason for each code of the vendor that ``ErrorCode`` does not have."""
