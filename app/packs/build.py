"""What a weight file is made of -> its content, checked against its record.

In: a :class:`PackFile` and the bytes of its sources; those of an installed package are found here, without importing
the package. Out: bytes with the recorded digest, or :class:`PackError`. Nothing is written.
"""

from __future__ import annotations

import hashlib
from importlib import metadata
from pathlib import Path

from app.packs.manifest import PackageSource, PackError, PackFile


def make(file: PackFile, contents: list[bytes], origin: str) -> bytes:
    """Convert the sources' ``contents``, or take the only one as it is; ``origin`` is where they are from."""
    if file.source.converter is None:
        (content,) = contents
    else:
        from app.packs.convert.converters import CONVERTERS  # noqa: PLC0415 - imports onnx, which takes half a second

        content = CONVERTERS[file.source.converter](*contents)
    if (digest := hashlib.sha256(content).hexdigest()) != file.sha256:
        raise PackError(
            f"{file.name} made from {origin} has sha256 {digest} instead of {file.sha256}; "
            "another version of onnx or protobuf may write it differently: install the locked ones"
        )
    return content


def from_package(file: PackFile, source: PackageSource) -> bytes:
    """Make a file out of what an installed package brings along."""
    return make(file, [_read(source)], source.package)


def _read(source: PackageSource) -> bytes:
    wanted = f"{source.package}=={source.version}"
    try:
        package = metadata.distribution(source.package)
    except metadata.PackageNotFoundError as error:
        raise PackError(f"the package {source.package} is not installed: pip install {wanted}") from error
    path = Path(str(package.locate_file(source.path)))
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PackError(f"cannot read {path} ({error.strerror}): pip install --force-reinstall {wanted}") from error
    if hashlib.sha256(content).hexdigest() != source.sha256:
        raise PackError(
            f"{path} of {source.package} {package.version} is not the file of {wanted} that the pack was made from: "
            f"pip install --force-reinstall {wanted}"
        )
    return content
