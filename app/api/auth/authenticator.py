"""Authenticator: may this caller in? Policy only; what a request claims is in ``claims``, who is known in ``keys``.

Errors come in this order: parameter missing, shape of the claim, SecretId, expiry, signature, token. Up to the expiry
they need no body in the newer dialect, so ``examine`` runs before the body is read and ``verify`` after it.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable
from typing import NamedTuple

from app.api.auth.credential import Credential, read_credential
from app.api.auth.keys import ANONYMOUS, Caller, Key, KeyRing
from app.api.request import CloudRequest
from app.errors import ApiError, ErrorCode, Text
from app.settings import AuthSettings

_SKIP = "SKIP"
_UNSIGNED = Text("Requests must be signed: `SKIP` is not accepted.", "请求必须签名，不接受 `SKIP`。")
_NO_V1 = Text(
    "This signature method is not accepted, please use new signature method `TC3-HMAC-SHA256`.",
    "不接受该签名方法，请使用新的签名方法 `TC3-HMAC-SHA256`。",
)
_FOREIGN_PAGE = Text(
    "Without keys, pages of other sites may not call this service.", "未配置密钥时，不接受来自其他网站页面的请求。"
)
_MISMATCH = "wrong key, or the caller signed another host than it sends: COMPAREFACE_AUTH__HOSTS"


class PendingAuth(NamedTuple):
    """A caller whose signature has still to be looked at; without a claim there is none to look at."""

    caller: Caller
    claim: Credential | None = None

    @property
    def secret_id(self) -> str:
        return self.claim.secret_id if self.claim else ""


class Authenticator:
    """Verifies signatures against a ring of keys; in open mode asks for nothing."""

    def __init__(
        self, settings: AuthSettings, keys: KeyRing, is_open: bool, clock: Callable[[], float] = time.time
    ) -> None:
        self._settings = settings
        self._keys = keys
        self._is_open = is_open
        self._clock = clock

    def examine(self, request: CloudRequest) -> PendingAuth:
        """QualityGate what can be judged before the body of a request of the newer dialect is read."""
        if self._is_open:
            if request.headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
                raise ApiError(ErrorCode.UNAUTHORIZED_OPERATION, _FOREIGN_PAGE)
            return PendingAuth(ANONYMOUS)
        if request.v1 is not None and self._settings.v1 == "refuse":
            raise ApiError(ErrorCode.SIGNATURE_FAILURE, _NO_V1)
        if request.headers.get("authorization", "").strip() == _SKIP:
            if self._settings.skip == "allow":
                return PendingAuth(ANONYMOUS)
            raise ApiError(ErrorCode.INVALID_AUTHORIZATION, _UNSIGNED)
        claim = read_credential(request)
        caller = self._keys.callers().get(claim.secret_id)
        if caller is None:
            raise ApiError(ErrorCode.SECRET_ID_NOT_FOUND)
        if abs(int(self._clock()) - int(request.timestamp)) > self._settings.max_skew_s:
            raise ApiError(ErrorCode.SIGNATURE_EXPIRE)
        return PendingAuth(caller, claim)

    def verify(self, request: CloudRequest, examined: PendingAuth) -> Key | None:
        """Return the caller's key that signed, None where none is asked for.

        Raise ``SignatureFailure`` or ``TokenFailure``. However much of a wrong signature is right, the same comparisons
        run, each of constant time.
        """
        caller, claim = examined
        if claim is None:
            return None
        texts = tuple(claim.texts(request, self._settings.hosts))
        signed = [key for key in caller.keys if _matches(claim.signature, claim.sign(key.secret_key, texts))]
        if not signed:
            raise ApiError(ErrorCode.SIGNATURE_FAILURE, reason=_MISMATCH)
        for key in signed:
            if hmac.compare_digest(key.token.encode(), request.token.encode()) and not key.is_expired(self._clock()):
                return key
        reason = "an expired or another token" if request.token else "no token sent"
        raise ApiError(ErrorCode.TOKEN_FAILURE, reason=f"{reason}; key {signed[0].label}")


def _matches(claimed: str, signatures: list[str]) -> bool:
    return any(hmac.compare_digest(claimed.encode(), signature.encode()) for signature in signatures)
