"""Build weight files: read their sources from installed packages, convert them, and check the recorded digest.

Nothing is written to disk, and the source packages are not imported.
"""

from importlib import metadata
from pathlib import Path

from app.ops.process import pip_command
from app.packs import files
from app.packs.manifest import PackageSource, PackError, PackFile


def build(file: PackFile, contents: list[bytes], source_names: str) -> bytes:
    """Convert the ``contents`` of the sources to a weight file; without a converter there is one source.

    Raise :class:`PackError`, which contains ``source_names``, if the result does not have the recorded digest.
    """
    if file.source.converter is None:
        (content,) = contents
    else:
        from app.packs.convert import CONVERTERS  # noqa: PLC0415 - imports onnx, which takes half a second

        content = CONVERTERS[file.source.converter](*contents)
    if (sha256 := files.sha256(content)) != file.sha256:
        raise PackError(
            f"{file.name}, made from {source_names}, has sha256 {sha256} instead of {file.sha256}; "
            "other versions of onnx or protobuf can cause this: install the locked versions"
        )
    return content


def build_from_package(file: PackFile, source: PackageSource) -> bytes:
    return build(file, [_package_file(source)], source.package)


def _package_file(source: PackageSource) -> bytes:
    requirement = f"{source.package}=={source.version}"
    reinstall = pip_command(f"install --force-reinstall {requirement}")
    try:
        package = metadata.distribution(source.package)
    except metadata.PackageNotFoundError as error:
        install = pip_command(f"install {requirement}")
        raise PackError(f"the package {source.package} is not installed: run `{install}`") from error
    path = Path(str(package.locate_file(source.path)))
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PackError(f"cannot read {path} ({error.strerror}): {reinstall}") from error
    if files.sha256(content) != source.sha256:
        raise PackError(
            f"{path} of {source.package} {package.version} differs from the file of {requirement} "
            f"that the pack was made from: {reinstall}"
        )
    return content
