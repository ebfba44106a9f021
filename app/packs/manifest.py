"""Pack records: parse and validate ``models/<name>/pack.toml`` into a frozen :class:`Pack`.

Unknown and missing keys are errors. The weight files themselves are not read. The
calibration is a separate file beside it.
"""

import tomllib
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, model_validator

from app.errors import OperatorError
from app.settings import RuntimeSettings
from app.validation import describe_validation_error

_Text: TypeAlias = Annotated[str, Field(min_length=1)]
_Name: TypeAlias = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
_FileName: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
_RelativePath: TypeAlias = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$")
]
_Sha256: TypeAlias = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_HttpsUrl: TypeAlias = Annotated[str, Field(pattern=r"^https://[^\s/]+/\S+$")]
_Point: TypeAlias = tuple[float, float]

ConverterName: TypeAlias = Literal[
    "centerface", "dlib_resnet_v1", "dlib_resnet_v1_int8", "openvino_ir", "openvino_ir_int8", "yunet"
]
"""How published files are converted to a weight file; ``convert.CONVERTERS`` has a function for every name."""


class PackError(OperatorError):
    """A pack cannot be used; the message says what to change."""


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class LandmarkCrop(_Table):
    """The crop on which the detector refines the landmarks of a face, in pixels.

    The face is upright and centred in ``side`` x ``side``. ``face`` is the square root of its bounding box's area.
    With 2 ``detections``, a second crop is centred on the landmarks of the first, not on the box. Landmarks and scores
    then depend less on small changes of the image.
    """

    side: int = Field(ge=32, multiple_of=32)
    face: float = Field(ge=16)
    detections: int = Field(default=1, ge=1, le=2)


class DetectorSpec(_Table):
    """The face detector and its thresholds.

    ``confidence``: minimum for a face. ``selection_confidence``: minimum for a face that is preferred when the largest
    face is selected. ``upright_confidence``: minimum for a face that is treated as upright; the detector also
    reports upside-down faces, with a lower confidence. ``max_side``: longer side of the detector's input in pixels, at
    least that of coarse detection. ``pitch_offset``: mean pitch that the detector's landmarks yield on frontal faces,
    in degrees (200 LFW images).
    """

    family: _Name
    file: _FileName
    confidence: float = Field(gt=0, lt=1)
    selection_confidence: float = Field(gt=0, lt=1)
    upright_confidence: float = Field(gt=0, lt=1)
    max_side: int = Field(ge=320)
    pitch_offset: float = Field(gt=-45, lt=45)
    landmark_crop: LandmarkCrop


class EmbedderSpec(_Table):
    """The embedder and its input format.

    The network's input is ``(crop - mean) / std``. Its channels and those of ``mean`` have the order ``color``. With
    ``mirror``, the embedding is the mean over the crop and its mirror image. ``template``: positions of the five
    landmarks (left eye, right eye, nose, left and right mouth corner) in the crop, (x, y) in pixels. ``int8_file``: the
    int8 model of the same network, for the CPU; it runs if both embeddings of a drawn face have a cosine of at least
    ``int8_min_cosine``. ``min_face_side``: width and height in pixels of the original image that a face needs to be
    recognised (``benchmarks.face_size``).
    """

    file: _FileName
    int8_file: _FileName | None = None
    int8_min_cosine: float = Field(default=1.0, gt=0, le=1)
    input_size: int = Field(ge=16)
    min_face_side: int = Field(20, ge=1)
    dimension: int = Field(ge=1)
    mean: tuple[float, float, float]
    std: float = Field(gt=0)
    color: Literal["RGB", "BGR"]
    mirror: bool
    template: tuple[_Point, _Point, _Point, _Point, _Point]

    def file_for(self, runtime: RuntimeSettings) -> str:
        """Return the name of the file that runs with these settings."""
        return self.int8_file if self.int8_file and runtime.int8 and runtime.device == "cpu" else self.file


class Licence(_Table):
    """The licence of the models; ``terms`` summarises it in a sentence, ``url`` is its full text."""

    name: _Text
    url: _HttpsUrl
    terms: _Text
    commercial: bool
    needs_acceptance: bool


class FileRecord(_Table):
    """A file with its digest and its size in bytes."""

    name: _FileName
    sha256: _Sha256
    size: int = Field(ge=1)


class Download(FileRecord):
    """A published file. Mirrors use the same ``name``."""

    url: _HttpsUrl


class PackageSource(_Table):
    """A file of an installed package; ``path`` starts with the package's folder."""

    downloads: ClassVar[tuple[str, ...]] = ()
    """Always empty, so that both kinds of source have ``downloads``."""
    package: _Text
    version: _Text
    path: _RelativePath
    sha256: _Sha256
    converter: ConverterName


class DownloadSource(_Table):
    """A file made of downloads: converted from all of them, or a single download, or a ``member`` of an archive.

    ``downloads`` holds names. The digest of the file identifies the member; its name appears in error messages.
    """

    downloads: tuple[_FileName, ...] = Field(min_length=1)
    member: _FileName | None = None
    converter: ConverterName | None = None

    @model_validator(mode="after")
    def _check_shape(self) -> Self:
        if self.converter and self.member:
            raise ValueError("a member of an archive cannot have a converter")
        if not self.converter and len(self.downloads) > 1:
            raise ValueError("several downloads need a converter")
        return self


def _source_tag(table: object) -> str:
    return "downloads" if isinstance(table, dict) and "downloads" in table else "package"


_Source: TypeAlias = Annotated[
    Annotated[PackageSource, Tag("package")] | Annotated[DownloadSource, Tag("downloads")],
    Discriminator(_source_tag),
]


class PackFile(FileRecord):
    """A weight file and the source that it is made of."""

    licence: _Text
    source: _Source


class Pack(_Table):
    """A detector, an embedder and their weight files.

    ``unfit``: one sentence that says why the pack does not suit decisions about people, and what to use instead.
    """

    name: _Name
    summary: _Text
    unfit: _Text | None = None
    licence: Licence
    detector: DetectorSpec
    embedder: EmbedderSpec
    files: tuple[PackFile, ...] = Field(min_length=1)
    downloads: tuple[Download, ...] = ()

    def without_int8(self) -> "Pack":
        """Return the pack without the int8 embedder."""
        spec = self.embedder.model_copy(update={"int8_file": None})
        files = tuple(file for file in self.files if file.name != self.embedder.int8_file)
        return self.model_copy(update={"embedder": spec, "files": files})

    def download(self, name: str) -> Download:
        return next(download for download in self.downloads if download.name == name)

    @property
    def embedder_sha256(self) -> str:
        """Digest of the float32 embedder; a calibration belongs to it."""
        return next(file.sha256 for file in self.files if file.name == self.embedder.file)

    @model_validator(mode="after")
    def _check_files(self) -> Self:
        names = [file.name for file in self.files]
        if len(names) != len(set(names)):
            raise ValueError("two [[files]] have the same name")
        roles = {"detector": self.detector.file, "embedder": self.embedder.file, "int8": self.embedder.int8_file}
        for role, name in roles.items():
            if name and name not in names:
                raise ValueError(f"the {role} file {name} is missing from [[files]]")
        return self

    @model_validator(mode="after")
    def _check_downloads(self) -> Self:
        by_name = {download.name: download for download in self.downloads}
        if len(by_name) != len(self.downloads):
            raise ValueError("two [[downloads]] have the same name")
        for file in self.files:
            for name in file.source.downloads:
                if name not in by_name:
                    raise ValueError(f"{file.name} is made of {name}, which is missing from [[downloads]]")
                if not (file.source.converter or file.source.member) and by_name[name].sha256 != file.sha256:
                    raise ValueError(f"{file.name} is the download {name}, but their sha256 differ")
        return self


def load(path: Path) -> Pack:
    """Read a ``pack.toml``; its folder must have the name of the pack."""
    try:
        pack = Pack.model_validate(tomllib.loads(path.read_text("utf-8")))
    except OSError as error:
        raise PackError(f"cannot read {path}: {error.strerror}") from error
    except ValidationError as error:
        raise PackError(f"{path} is not a valid pack: {describe_validation_error(error, show_values=True)}") from error
    except ValueError as error:  # TOML syntax or encoding
        raise PackError(f"{path} is not valid TOML: {error}") from error
    if pack.name != path.parent.name:
        raise PackError(f"{path} is not a valid pack: its name is {pack.name}, but its folder is {path.parent.name}")
    return pack
