"""Types that all stages share: images, faces, crops, embeddings, options and results.

Stages change no value in place: ``Image`` -> ``Face`` -> ``Crop`` -> ``Embedding``. Coordinates are pixels of the
image in its EXIF orientation, x to the right, y down. Options named ``rotate`` do not change the image.
"""

import math
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Image: TypeAlias = NDArray[np.uint8]
"""H x W x 3, uint8, BGR, C-contiguous."""

ImageSource: TypeAlias = bytes | str
"""The bytes of an encoded image, or their base64 text."""

Landmarks: TypeAlias = NDArray[np.float32]
"""5 x 2, float32, (x, y) in pixels: the viewer's left eye, right eye, nose tip, left and right mouth corner."""

Crop: TypeAlias = NDArray[np.uint8]
"""S x S x 3, uint8, BGR: an aligned face; the pack's embedder defines S."""

Embedding: TypeAlias = NDArray[np.float32]
"""D + 1, float32: a vector of unit length (L2 norm 1), then the degradation of the image, 0 (none) to about 1."""


class ActionName(StrEnum):
    """The actions of the service."""

    COMPARE_FACE = "CompareFace"
    DETECT_FACE = "DetectFace"


@dataclass(frozen=True, slots=True)
class Box:
    """A bounding box in pixels; its edges may lie outside the image."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def area(self) -> float:
        """Area in square pixels, at least 0."""
        return max(0.0, self.right - self.left) * max(0.0, self.bottom - self.top)

    @property
    def shorter_side(self) -> float:
        """Width or height in pixels, whichever is smaller."""
        return min(self.right - self.left, self.bottom - self.top)

    def to_xywh(self) -> tuple[int, int, int, int]:
        """Return x, y, width and height of the smallest rectangle of whole pixels that contains the box."""
        left, top = math.floor(self.left), math.floor(self.top)
        return left, top, math.ceil(self.right) - left, math.ceil(self.bottom) - top

    def clipped(self, width: int, height: int) -> "Box":
        """Return the part of the box that lies in an image of ``width`` x ``height`` pixels."""
        return Box(max(self.left, 0.0), max(self.top, 0.0), min(self.right, width), min(self.bottom, height))

    def iou(self, other: "Box") -> float:
        """Return the intersection over union with ``other``, in [0, 1]."""
        left, top = max(self.left, other.left), max(self.top, other.top)
        intersection = Box(left, top, min(self.right, other.right), min(self.bottom, other.bottom)).area
        return intersection / (self.area + other.area - intersection) if intersection else 0.0

    def scaled(self, factor: float) -> "Box":
        """Return the box in an image whose sides have ``factor`` times as many pixels."""
        return Box(self.left * factor, self.top * factor, self.right * factor, self.bottom * factor)


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One detected face; ``confidence`` is the detector's score, in [0, 1]."""

    box: Box
    landmarks: Landmarks
    confidence: float

    def scaled(self, factor: float) -> "Face":
        """Return the face in an image whose sides have ``factor`` times as many pixels."""
        return Face(self.box.scaled(factor), self.landmarks * np.float32(factor), self.confidence)


class MatchingStrategy(IntEnum):
    """Which face of an image is the target face; the values of the wire's ``FaceMatchingStrategy``."""

    MOST_CONFIDENT = 0
    LARGEST = 1


class TargetNote(StrEnum):
    """What a user should know about the choice of the target face; the values are those of the log and of JSON."""

    COMPARABLE_FACE = "comparable_face"
    DOUBTFUL_FACE = "doubtful_face"

    @property
    def text(self) -> str:
        """The note as a sentence without a full stop."""
        return _NOTE_TEXTS[self]


_NOTE_TEXTS = {
    TargetNote.COMPARABLE_FACE: "another face has a comparable size; crop the image to select a face",
    TargetNote.DOUBTFUL_FACE: "the largest face is not compared, because its confidence is low",
}


class FaceModelVersion(StrEnum):
    """The values of the wire's ``FaceModelVersion``. Each has its score scale, and may have its own pack."""

    V2 = "2.0"
    V3 = "3.0"


class Population(StrEnum):
    """Which impostors the false-accept rates of the scores refer to.

    ``GENERAL``: any two people. ``MATCHED``: people of one sex and similar age, photographed alike.
    """

    GENERAL = "general"
    MATCHED = "matched"


@dataclass(frozen=True, slots=True)
class ImageRef:
    """An image of a request: inline base64 text or a URL. If both are set, ``base64`` is ignored."""

    base64: str = ""
    url: str = ""

    @property
    def is_empty(self) -> bool:
        return not (self.base64 or self.url)


@dataclass(frozen=True, slots=True)
class Completeness:
    """The visible share of each region of a face, in percent, 0-100. Paired regions count as one region."""

    eyebrow: int
    eye: int
    nose: int
    cheek: int
    mouth: int
    chin: int


class Artifact(StrEnum):
    """An alteration of the image of a face: text or lines over it, or strong compression."""

    NONE = "none"
    OVERLAY = "overlay"
    COMPRESSION = "compression"


class Tones(StrEnum):
    """The tones of a face: those of a photo, or of a negative or posterised image."""

    NATURAL = "natural"
    UNNATURAL = "unnatural"


@dataclass(frozen=True, slots=True)
class Quality:
    """The image quality of one face, 0-100 each: the vendor's ``FaceQualityInfo``; ``score`` is the total.

    ``tones`` and ``artifact`` have no field in the vendor's response; they affect ``score`` and the grade.
    """

    score: int
    sharpness: int
    brightness: int
    completeness: Completeness
    tones: Tones = Tones.NATURAL
    artifact: Artifact = Artifact.NONE


class QualityPolicy(StrEnum):
    """Which grades a ``QualityControl`` level accepts.

    The vendor describes the face quality of each level, but not whether level N accepts that quality. A face's grade is
    the level whose description it fits (``app.vision.quality.assessment.grade``).

    ``ACCEPT_DESCRIBED``: level N accepts grades from N. ``REJECT_DESCRIBED``: level N accepts grades above N; level 4
    accepts grade 4. Both: level 0 accepts every image.
    """

    ACCEPT_DESCRIBED = "accept-described"
    REJECT_DESCRIBED = "reject-described"


@dataclass(frozen=True, slots=True)
class Pose:
    """Degrees: ``pitch`` > 0 up, ``yaw`` > 0 to the viewer's right, ``roll`` > 0 clockwise, in (-180, 180]."""

    pitch: float
    yaw: float
    roll: float


@dataclass(frozen=True, slots=True)
class CompareOptions:
    """The options of a comparison.

    ``matching_strategy``: None if the request has none. ``population``: None if the caller's key has none. The server's
    default then applies. ``rotate``: detect rotated faces, too. ``quality_control``: 0-4; 0 skips the quality check.
    """

    face_model_version: FaceModelVersion = FaceModelVersion.V3
    matching_strategy: MatchingStrategy | None = None
    rotate: bool = False
    quality_control: int = 0
    population: Population | None = None


class EmbeddedFace(NamedTuple):
    """The embedding of an image's target face, and notes about its choice."""

    embedding: Embedding
    notes: tuple[TargetNote, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """A ``score`` in [0, 100], and the cosine similarity in [-1, 1].

    ``face_model_version`` and ``population`` select the scale of the score. ``degradation``: that of image A and of
    image B, 0 (none) to about 1; the cosine is reduced by their product. ``notes``: those of image A and of image B.
    """

    score: float
    cosine: float
    face_model_version: FaceModelVersion
    population: Population = Population.GENERAL
    degradation: tuple[float, float] = (0.0, 0.0)
    notes: tuple[tuple[TargetNote, ...], tuple[TargetNote, ...]] = ((), ())


@dataclass(frozen=True, slots=True)
class DetectOptions:
    """The options of a detection; ``min_size``: width and height in pixels that a face has at least.

    ``attributes``, ``quality``: measure them. ``rotate``: detect rotated faces, too.
    """

    face_model_version: FaceModelVersion = FaceModelVersion.V3
    max_faces: int = 1
    min_size: int = 34
    attributes: bool = False
    quality: bool = False
    rotate: bool = False


@dataclass(frozen=True, slots=True)
class Attributes:
    """Measured attributes of a face; ``has_mask``: anything covers nose, mouth and chin."""

    pose: Pose
    has_mask: bool


@dataclass(frozen=True, slots=True, eq=False)
class DetectedFace:
    """One face of a detection; ``attributes`` or ``quality`` is None if it was not measured."""

    box: Box
    landmarks: Landmarks
    attributes: Attributes | None
    quality: Quality | None


@dataclass(frozen=True, slots=True)
class DetectionResult:
    """The size of the image in its EXIF orientation, in pixels, and its faces, largest first."""

    width: int
    height: int
    faces: tuple[DetectedFace, ...]
