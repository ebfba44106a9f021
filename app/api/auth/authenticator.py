"""Authenticator: the authentication policy. ``credential`` reads the signature of a request, ``keys`` has the callers.

``check_credential`` needs the common parameters only. The order of its errors is: refused method (signature v1 or
``SKIP``), missing parameter, malformed credential, unknown SecretId, expired timestamp. ``verify`` needs the body,
too. It checks the signature, then the token.
"""

import hmac
import time
from collections.abc import Callable, Collection, Sequence
from itertools import compress
from typing import NamedTuple

from app.api.auth.credential import Credential, read_credential
from app.api.auth.keys import ANONYMOUS, Caller, Key, KeyRing
from app.api.request import SKIP, CloudRequest
from app.domain import Population
from app.errors import ApiError, ErrorCode, Text
from app.settings import AuthSettings

_UNSIGNED = Text("Requests must be signed: `SKIP` is not accepted.", "请求必须签名，不接受 `SKIP`。")
_NO_V1 = Text(
    "This signature method is not accepted, please use new signature method `TC3-HMAC-SHA256`.",
    "不接受该签名方法，请使用新的签名方法 `TC3-HMAC-SHA256`。",
)
_FOREIGN_PAGE = Text(
    "Without signature verification, requests from pages of other sites are rejected.",
    "不验证签名时，不接受来自其他网站页面的请求。",
)
_MISMATCH = "wrong key, or the client signed a host name that is not in COMPAREFACE_AUTH__HOSTS"


class PendingAuth(NamedTuple):
    """A caller whose signature is not verified yet. Without a credential, no signature is required."""

    caller: Caller
    credential: Credential | None = None

    @property
    def secret_id(self) -> str:
        return self.credential.secret_id if self.credential else ""


class Authenticator:
    """Verifies signatures with the keys of a key ring.

    ``is_open``: ``auth.mode`` is ``off``, or no keys are configured. Every request is accepted as ``ANONYMOUS``, except
    from pages of other sites.
    """

    def __init__(
        self, settings: AuthSettings, keys: KeyRing, is_open: bool, clock: Callable[[], float] = time.time
    ) -> None:
        self._settings = settings
        self._keys = keys
        self._is_open = is_open
        self._clock = clock

    def restrict_populations(self, populations: Collection[Population]) -> None:
        """Reject callers that select another population, see :meth:`KeyRing.restrict_populations`."""
        self._keys.restrict_populations(populations)

    def log_short_keys(self) -> None:
        """Warn of keys that are easy to guess."""
        self._keys.log_short_keys()

    def check_credential(self, request: CloudRequest) -> PendingAuth:
        """Return the caller of a request that has its common parameters; raise ``ApiError``."""
        if self._is_open:
            if request.headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
                raise ApiError(ErrorCode.UNAUTHORIZED_OPERATION, _FOREIGN_PAGE)
            return PendingAuth(ANONYMOUS)
        if request.v1_parameters is not None and self._settings.v1 == "refuse":
            raise ApiError(ErrorCode.SIGNATURE_FAILURE, _NO_V1)
        if request.authorization == SKIP:
            if self._settings.skip == "allow":
                return PendingAuth(ANONYMOUS)
            raise ApiError(ErrorCode.INVALID_AUTHORIZATION, _UNSIGNED)
        return self._check_signed(request)

    def _check_signed(self, request: CloudRequest) -> PendingAuth:
        credential = read_credential(request)
        caller = self._keys.callers().get(credential.secret_id)
        if caller is None:
            raise ApiError(ErrorCode.SECRET_ID_NOT_FOUND)
        if abs(int(self._clock()) - int(request.timestamp)) > self._settings.max_skew_s:
            raise ApiError(ErrorCode.SIGNATURE_EXPIRE)
        return PendingAuth(caller, credential)

    def verify(self, request: CloudRequest, pending: PendingAuth) -> Key | None:
        """Return the key that signed ``request``, which has its body; None if no signature is required.

        Raises ``SignatureFailure`` or ``TokenFailure``. The comparisons take the same time for every wrong signature.
        """
        caller, credential = pending
        if credential is None:
            return None
        secret_keys = [key.secret_key for key in caller.keys]
        for signatures in credential.valid_signatures(request, self._settings.hosts, secret_keys):
            matches = [hmac.compare_digest(credential.signature.encode(), valid.encode()) for valid in signatures]
            if any(matches):
                return self._check_token(request, list(compress(caller.keys, matches)))
        raise ApiError(ErrorCode.SIGNATURE_FAILURE, reason=_MISMATCH)

    def _check_token(self, request: CloudRequest, keys: Sequence[Key]) -> Key:
        """Return the key of ``keys``, which all match the signature, whose token the request has."""
        token = request.common("Token")
        for key in keys:
            if hmac.compare_digest(key.token.encode(), token.encode()) and not key.is_expired(self._clock()):
                return key
        reason = "expired key, or no token sent" if not token else "wrong or expired token"
        raise ApiError(ErrorCode.TOKEN_FAILURE, reason=f"{reason}; key {keys[0].label}")
