"""Certificates that are refused at start, and renewals."""

import logging
import ssl
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from trustme import KeyType

from app.environment import SettingsError
from app.server.certificate import Certificate
from app.settings import ServerSettings
from tests.support.tls import TlsFiles

_NOW = datetime.now(UTC)
_DAY = timedelta(days=1)
_CERT = "COMPAREFACE_SERVER__TLS_CERT: {cert}: "
_KEY = "COMPAREFACE_SERVER__TLS_KEY: {key}: "
_NO_FILE = "No such file or directory"


@pytest.fixture
def files(tmp_path: Path) -> TlsFiles:
    return TlsFiles(tmp_path)


def _openssl(command: str, folder: Path) -> None:
    subprocess.run(["sh", "-ec", command], cwd=folder, check=True, capture_output=True)


def _self_signed(*options: str) -> Callable[[TlsFiles], None]:
    command = "openssl req -x509 -nodes -subj /CN=localhost -keyout tls.key -out tls.crt"
    return lambda files: _openssl(" ".join([command, *options]), files.cert.parent)


def _encrypt(files: TlsFiles) -> None:
    _openssl("openssl pkey -in tls.key -aes256 -passout pass:secret -out encrypted.key", files.key.parent)
    (files.key.parent / "encrypted.key").replace(files.key)


def _make_der(files: TlsFiles) -> None:
    _openssl("openssl x509 -in tls.crt -outform der -out tls.der", files.cert.parent)
    (files.cert.parent / "tls.der").replace(files.cert)


def _other_key(**issue: Any) -> Callable[[TlsFiles], None]:
    def replace_key(files: TlsFiles) -> None:
        certificate = files.cert.read_bytes()
        files.renew(**issue)
        files.cert.write_bytes(certificate)

    return replace_key


def _chain_in_reverse(files: TlsFiles) -> None:
    files.cert.write_bytes(files.ca.read_bytes() + files.cert.read_bytes())


def _make_folder(files: TlsFiles) -> None:
    files.cert.unlink()
    files.cert.mkdir()


def _swap(files: TlsFiles) -> None:
    cert, key = files.cert.read_bytes(), files.key.read_bytes()
    files.cert.write_bytes(key)
    files.key.write_bytes(cert)


_REFUSED: dict[str, tuple[Callable[[TlsFiles], object], str]] = {
    "expired": (
        lambda files: files.renew(not_before=_NOW - 2 * _DAY, not_after=_NOW - _DAY),
        _CERT + "certificate has expired",
    ),
    "not yet valid": (lambda files: files.renew(not_before=_NOW + _DAY), _CERT + "certificate is not yet valid"),
    "for clients": (
        _self_signed("-newkey ed25519 -addext extendedKeyUsage=clientAuth"),
        _CERT + "unsuitable certificate purpose",
    ),
    "a curve that clients lack": (
        _self_signed("-newkey ec -pkeyopt ec_paramgen_curve:brainpoolP256r1"),
        _CERT + "no client could connect: NO_SHARED_CIPHER",
    ),
    "RSA of 1024 bits": (
        _self_signed("-newkey rsa:1024"),
        _KEY + "OpenSSL refuses the certificate or the key: EE_KEY_TOO_SMALL",
    ),
    "no certificate file": (lambda files: files.cert.unlink(), _CERT + _NO_FILE),
    "no key file": (lambda files: files.key.unlink(), _KEY + _NO_FILE),
    "a folder": (_make_folder, _CERT + "Is a directory"),
    "an empty certificate file": (
        lambda files: files.cert.write_bytes(b""),
        _CERT + "not a certificate chain in PEM format",
    ),
    "DER": (_make_der, _CERT + "not a certificate chain in PEM format"),
    "an empty key file": (lambda files: files.key.write_bytes(b""), _KEY + "not a private key in PEM format"),
    "swapped files": (_swap, _CERT + "not a certificate chain in PEM format"),
    "an encrypted key": (
        _encrypt,
        "COMPAREFACE_SERVER__TLS_KEY: the key is encrypted; decrypt it with `openssl pkey -in KEY -out DECRYPTED_KEY`",
    ),
    "another key": (
        _other_key(),
        _KEY + "not the key of the first certificate in COMPAREFACE_SERVER__TLS_CERT",
    ),
    "a key of another type": (
        _other_key(key_type=KeyType.RSA),
        _KEY + "not the key of the first certificate in COMPAREFACE_SERVER__TLS_CERT",
    ),
    "the authority before the certificate": (
        _chain_in_reverse,
        _KEY + "not the key of the first certificate in COMPAREFACE_SERVER__TLS_CERT",
    ),
}


@pytest.mark.parametrize(("damage", "message"), _REFUSED.values(), ids=_REFUSED)
def test_an_unusable_pair_is_refused_with_its_reason(
    files: TlsFiles, damage: Callable[[TlsFiles], object], message: str
) -> None:
    damage(files)
    with pytest.raises(SettingsError) as caught:
        Certificate.open(files.settings)
    assert str(caught.value) == message.format(cert=files.cert, key=files.key)


def _one_file(files: TlsFiles) -> None:
    both = files.cert.read_bytes() + files.key.read_bytes()
    files.cert.write_bytes(both)
    files.key.write_bytes(both)


@pytest.mark.parametrize(
    "change",
    [
        lambda _: None,
        _one_file,
        lambda files: files.renew(key_type=KeyType.RSA),
        _self_signed("-newkey ed25519"),
        _self_signed("-newkey ec -pkeyopt ec_paramgen_curve:secp384r1"),
    ],
    ids=["P-256", "one file", "RSA", "Ed25519", "P-384"],
)
def test_usual_pairs_are_accepted(files: TlsFiles, change: Callable[[TlsFiles], None]) -> None:
    change(files)
    assert Certificate.open(files.settings)


def test_without_files_there_is_no_certificate() -> None:
    assert Certificate.open(ServerSettings()) is None


class _Renewal:
    """A certificate whose clock advances by one check for each look at its serial number."""

    def __init__(self, files: TlsFiles) -> None:
        self.now = 0.0
        certificate = Certificate.open(files.settings, lambda: self.now)
        assert certificate
        self._certificate, self._client = certificate, files.client_context

    def serial_number(self) -> object:
        self.now += 2
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = self._client.wrap_bio(to_client, to_server, server_hostname="localhost")
        server = self._certificate.context().wrap_bio(to_server, to_client, server_side=True)
        for side in (client, server):
            with pytest.raises(ssl.SSLWantReadError):
                side.do_handshake()
        client.do_handshake()
        details = client.getpeercert()
        assert details
        return details["serialNumber"]


def _rename(path: Path, data: bytes) -> None:
    new = path.with_name("new")
    new.write_bytes(data)
    new.replace(path)


def _relink(path: Path, data: bytes) -> None:
    """Replace a symbolic link, as Kubernetes does for a Secret and certbot for its folder `live`."""
    target, link = path.with_name(f"{path.name}.{len(data)}.{hash(data)}"), path.with_name("link")
    target.write_bytes(data)
    link.symlink_to(target)
    link.replace(path)


@pytest.mark.parametrize("write", [Path.write_bytes, _rename, _relink])
def test_a_renewed_pair_is_used_at_the_next_check(files: TlsFiles, write: Callable[[Path, bytes], object]) -> None:
    renewal = _Renewal(files)
    seen = {renewal.serial_number(), renewal.serial_number()}
    assert len(seen) == 1
    for renewals in (2, 3):
        files.renew(write)
        seen.add(renewal.serial_number())
        assert len(seen) == renewals


def test_a_failed_reload_keeps_the_previous_pair_and_is_logged_once(
    files: TlsFiles, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    renewal = _Renewal(files)
    first = renewal.serial_number()
    for damage, _ in (_REFUSED["another key"], _REFUSED["expired"], _REFUSED["no key file"]):
        damage(files)
        caplog.clear()
        assert [renewal.serial_number() for _ in range(4)] == [first] * 4
        (record,) = caplog.records
        assert record.message == "TLS reload failed, keeping the previous certificate"
    files.renew()
    caplog.clear()
    assert renewal.serial_number() != first
    assert [record.message for record in caplog.records] == ["TLS certificate loaded"]


def test_the_moment_between_the_replacement_of_both_files_is_not_logged(
    files: TlsFiles, caplog: pytest.LogCaptureFixture
) -> None:
    renewal = _Renewal(files)
    first = renewal.serial_number()
    seen = []

    def look_and_write(path: Path, data: bytes) -> None:
        seen.append(renewal.serial_number())
        path.write_bytes(data)

    files.renew(look_and_write)
    assert seen == [first, first]
    assert renewal.serial_number() != first
    assert caplog.records == []
