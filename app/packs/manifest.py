"""``pack.toml`` -> :class:`Pack`: everything that differs between models, as checked data.

In: the path of a ``models/<name>/pack.toml``. Out: a frozen :class:`Pack`, or :class:`PackError` with a text for the
operator that names the key. Unknown and missing keys are refused. Nothing here looks at the weight files.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, model_validator

from app.errors import OperatorError
from app.settings import RuntimeSettings

_Text: TypeAlias = Annotated[str, Field(min_length=1)]
_Name: TypeAlias = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
_FileName: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
_RelativePath: TypeAlias = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$")
]
_Sha256: TypeAlias = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_HttpsUrl: TypeAlias = Annotated[str, Field(pattern=r"^https://[^\s/]+/\S+$")]
_Point: TypeAlias = tuple[float, float]

ConverterName: TypeAlias = Literal["centerface", "dlib_resnet_v1", "dlib_resnet_v1_int8", "openvino_ir", "yunet"]
"""How published files become the pack's file; ``converters`` has one function for each."""


class PackError(OperatorError):
    """A pack cannot be used; the text is for the operator."""


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class LandmarkCrop(_Table):
    """The square that the detector is shown to tell the landmarks of one face, in pixels.

    The face stands upright in the middle of ``side`` x ``side``; the square root of its box's area is ``face``.
    """

    side: int = Field(ge=32, multiple_of=32)
    face: float = Field(ge=16)


class DetectorSpec(_Table):
    """Which faces are found.

    A face has at least ``confidence``; one of at least ``clear`` is preferred when the largest is looked for; one of at
    least ``sure`` stands upright, while a face upside down may be taken for an upright one of less confidence.
    ``max_side`` is the longer side in pixels of the picture the detector is shown. ``pitch_offset`` is the pitch in
    degrees that its landmarks show of a face that looks straight ahead (the mean of 200 LFW pictures).
    """

    family: _Name
    file: _FileName
    confidence: float = Field(gt=0, lt=1)
    selection_confidence: float = Field(gt=0, lt=1)
    upright_confidence: float = Field(gt=0, lt=1)
    max_side: int = Field(ge=32)
    pitch_offset: float = Field(gt=-45, lt=45)
    landmark_crop: LandmarkCrop


class EmbedderSpec(_Table):
    """How a crop becomes a vector.

    The network is shown ``(crop - mean) / std``, its channels in the order ``color`` (that of ``mean``, too); with
    ``mirror`` the embedding is the mean of those of the crop and of its mirror image. ``template`` is where the five
    landmarks (left eye, right eye, nose, left and right mouth corner) come to lie, in pixels (x, y) of the crop.
    ``int8_file`` is the same network in 8-bit integers, for the CPU.
    """

    file: _FileName
    int8_file: _FileName | None = None
    input_size: int = Field(ge=16)
    dimension: int = Field(ge=1)
    mean: tuple[float, float, float]
    std: float = Field(gt=0)
    color: Literal["RGB", "BGR"]
    mirror: bool
    template: tuple[_Point, _Point, _Point, _Point, _Point]

    def file_on(self, runtime: RuntimeSettings) -> str:
        """Return the file that is meant to run there."""
        return self.int8_file if self.int8_file and runtime.int8 and runtime.device == "cpu" else self.file


class Licence(_Table):
    """What may be done with the models; ``terms`` is that in a sentence, ``url`` the licence's own words."""

    name: _Text
    url: _HttpsUrl
    terms: _Text
    commercial: bool
    needs_acceptance: bool


class Download(_Table):
    """A published file; its ``name`` is also that on mirrors."""

    name: _FileName
    url: _HttpsUrl
    sha256: _Sha256
    size: int = Field(ge=1)


class PackageSource(_Table):
    """A file that an installed package brings along; ``path`` starts with the package's folder."""

    package: _Text
    version: _Text
    path: _RelativePath
    sha256: _Sha256
    converter: ConverterName


class DownloadSource(_Table):
    """What is made of downloads, by their names: all of them converted, or the one, or a ``member`` of it, as it is.

    A member is known by the last part of its path in the archive, which is the only part that is used.
    """

    downloads: tuple[_FileName, ...] = Field(min_length=1)
    member: _FileName | None = None
    converter: ConverterName | None = None

    @model_validator(mode="after")
    def _check_shape(self) -> Self:
        if self.converter and self.member:
            raise ValueError("a member of an archive is taken as it is, without a converter")
        if not self.converter and len(self.downloads) > 1:
            raise ValueError("several downloads need a converter")
        return self


def _kind_of_source(table: object) -> str:
    names = table if isinstance(table, dict) else vars(table)
    return "downloads" if "downloads" in names else "package"


_Source: TypeAlias = Annotated[
    Annotated[PackageSource, Tag("package")] | Annotated[DownloadSource, Tag("downloads")],
    Discriminator(_kind_of_source),
]


class PackFile(_Table):
    """One weight file: what it must be (``sha256``, ``size`` in bytes) and what it is made of."""

    name: _FileName
    sha256: _Sha256
    size: int = Field(ge=1)
    licence: _Text
    source: _Source


class Pack(_Table):
    """A detector, an embedder and the files they consist of."""

    name: _Name
    summary: _Text
    licence: Licence
    detector: DetectorSpec
    embedder: EmbedderSpec
    files: tuple[PackFile, ...] = Field(min_length=1)
    downloads: tuple[Download, ...] = ()

    def without_int8(self) -> Pack:
        """Return the pack as it is where the embedder in 8-bit integers does not run."""
        spec = self.embedder.model_copy(update={"int8_file": None})
        files = tuple(file for file in self.files if file.name != self.embedder.int8_file)
        return self.model_copy(update={"embedder": spec, "files": files})

    def download(self, name: str) -> Download:
        return next(download for download in self.downloads if download.name == name)

    @property
    def embedder_sha256(self) -> str:
        """Digest of the embedder's file; a calibration is bound to it."""
        return next(file.sha256 for file in self.files if file.name == self.embedder.file)

    @model_validator(mode="after")
    def _check_files(self) -> Self:
        names = [file.name for file in self.files]
        if len(names) != len(set(names)):
            raise ValueError("two files have the same name")
        used = {"detector": self.detector.file, "embedder": self.embedder.file, "int8": self.embedder.int8_file}
        for role, name in used.items():
            if name and name not in names:
                raise ValueError(f"the {role}'s file {name} is not among the files")
        return self

    @model_validator(mode="after")
    def _check_downloads(self) -> Self:
        known = {download.name: download for download in self.downloads}
        if len(known) != len(self.downloads):
            raise ValueError("two downloads have the same name")
        for file in self.files:
            for name in file.source.downloads if isinstance(file.source, DownloadSource) else ():
                if name not in known:
                    raise ValueError(f"{file.name} is made of {name}, which is not among the downloads")
                if not (file.source.converter or file.source.member) and known[name].sha256 != file.sha256:
                    raise ValueError(f"{file.name} is the download {name}, but has another sha256")
        return self


def load(path: Path) -> Pack:
    """Read a ``pack.toml``; the pack must be called as its folder is."""
    try:
        table = tomllib.loads(path.read_text("utf-8"))
        pack = Pack.model_validate(table)
    except OSError as error:
        raise PackError(f"cannot read {path}: {error.strerror}") from error
    except ValidationError as error:
        raise PackError(f"{path} is not a valid pack: {_explain(error)}") from error
    except ValueError as error:  # TOML syntax or encoding
        raise PackError(f"{path} is not valid TOML: {error}") from error
    if pack.name != path.parent.name:
        raise PackError(f"{path} is not a valid pack: it calls itself {pack.name}")
    return pack


def _explain(error: ValidationError) -> str:
    reasons = []
    for detail in error.errors(include_url=False, include_context=False):
        key = ".".join(str(part) for part in detail["loc"])
        reasons.append(f"{key}: {detail['msg']}" if key else detail["msg"])
    return "; ".join(reasons)
