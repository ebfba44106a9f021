"""The vocabulary shared by all stages: what an image, a face, a crop, an embedding and a comparison are.

Stages hand over ever narrower values and change none in place: ``Image`` -> ``Face`` -> ``Crop`` -> ``Embedding``.
Coordinates are pixels, x to the right, y down, of the upright picture (after its EXIF orientation).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Image: TypeAlias = NDArray[np.uint8]
"""H x W x 3, uint8, BGR, C-contiguous."""

ImageData: TypeAlias = bytes | str
"""An encoded image: the bytes of a file, or their base64 text."""

Landmarks: TypeAlias = NDArray[np.float32]
"""5 x 2, float32, (x, y): left eye, right eye, nose tip, left and right mouth corner, as seen by the viewer."""

Crop: TypeAlias = NDArray[np.uint8]
"""S x S x 3, uint8, BGR: an aligned face, S given by the pack's embedder."""

Embedding: TypeAlias = NDArray[np.float32]
"""D, float32, of Euclidean length 1."""


@dataclass(frozen=True, slots=True)
class Box:
    """A bounding box in pixels; edges may lie outside the picture."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def area(self) -> float:
        """Square pixels."""
        return max(0.0, self.right - self.left) * max(0.0, self.bottom - self.top)

    @property
    def pixels(self) -> tuple[int, int, int, int]:
        """The smallest rectangle of whole pixels around it: x, y, width, height."""
        left, top = math.floor(self.left), math.floor(self.top)
        return left, top, math.ceil(self.right) - left, math.ceil(self.bottom) - top

    def clipped(self, width: int, height: int) -> Box:
        """The part of it that lies in a picture of ``width`` x ``height`` pixels."""
        return Box(max(self.left, 0.0), max(self.top, 0.0), min(self.right, width), min(self.bottom, height))

    def iou(self, other: Box) -> float:
        """The share of the area of both that they have in common (intersection over union), [0, 1]."""
        left, top = max(self.left, other.left), max(self.top, other.top)
        shared = Box(left, top, min(self.right, other.right), min(self.bottom, other.bottom)).area
        return shared / (self.area + other.area - shared) if shared else 0.0

    def scaled(self, factor: float) -> Box:
        """The same in a picture of ``factor`` times as many pixels a side."""
        return Box(self.left * factor, self.top * factor, self.right * factor, self.bottom * factor)


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One detected face; ``confidence`` is the detector's, in [0, 1]."""

    box: Box
    landmarks: Landmarks
    confidence: float

    def scaled(self, factor: float) -> Face:
        """The same in a picture of ``factor`` times as many pixels a side."""
        return Face(self.box.scaled(factor), self.landmarks * np.float32(factor), self.confidence)


class MatchingStrategy(IntEnum):
    """Which face of a picture is compared; the values of the wire's ``FaceMatchingStrategy``."""

    MOST_CONFIDENT = 0
    LARGEST = 1


class FaceModelVersion(StrEnum):
    """The vendor's two score scales; the values of the wire's ``FaceModelVersion``."""

    V2 = "2.0"
    V3 = "3.0"


@dataclass(frozen=True, slots=True)
class ImageRef:
    """Where a picture comes from. A URL wins over inline data, which is then not even looked at."""

    base64: str = ""
    url: str = ""

    @property
    def is_empty(self) -> bool:
        return not (self.base64 or self.url)


@dataclass(frozen=True, slots=True)
class Completeness:
    """The visible share of each region of a face, in percent, 0-100; of both sides together where there are two."""

    eyebrow: int
    eye: int
    nose: int
    cheek: int
    mouth: int
    chin: int


@dataclass(frozen=True, slots=True)
class Quality:
    """How good the picture of one face is: the vendor's ``FaceQualityInfo``, all of it 0-100.

    ``sharpness`` from 80 is sharp, below 40 very blurry; ``brightness`` of 30 to 70 is normal; ``score`` sums up.
    """

    score: int
    sharpness: int
    brightness: int
    completeness: Completeness


class QualityPolicy(StrEnum):
    """How ``QualityControl`` 1 to 4 is read: as the worst picture that passes, or as the best that is refused.

    The second reading has nothing to refuse at 4: it is there as strict as the first.
    """

    ACCEPT_DESCRIBED = "accept-described"
    REJECT_DESCRIBED = "reject-described"


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a head looks, in degrees.

    ``pitch`` > 0: up; ``yaw`` > 0: to the viewer's right; ``roll`` > 0: clockwise as the viewer
    sees it, (-180, 180].
    """

    pitch: float
    yaw: float
    roll: float


@dataclass(frozen=True, slots=True)
class CompareOptions:
    """What a caller may ask for.

    ``matching_strategy`` None means the server's default. ``quality_control`` 0-4: 0 judges no quality.
    """

    face_model_version: FaceModelVersion = FaceModelVersion.V3
    matching_strategy: MatchingStrategy | None = None
    rotate: bool = False
    quality_control: int = 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """The answer: ``score`` in [0, 100] on the scale of ``face_model_version``, ``cosine`` in [-1, 1]."""

    score: float
    cosine: float
    face_model_version: FaceModelVersion


@dataclass(frozen=True, slots=True)
class DetectOptions:
    """What may be asked of a picture: at most ``most`` faces of at least ``smallest`` pixels in width and height."""

    face_model_version: FaceModelVersion = FaceModelVersion.V3
    max_faces: int = 1
    min_size: int = 34
    attributes: bool = False
    quality: bool = False
    rotate: bool = False


@dataclass(frozen=True, slots=True)
class Attributes:
    """What is measured of a face; ``mask``: nose, mouth and chin are covered, whatever covers them."""

    pose: Pose
    mask: bool


@dataclass(frozen=True, slots=True, eq=False)
class DetectedFace:
    """One face; None is what was not asked for, or is not given for so many faces."""

    box: Box
    landmarks: Landmarks
    attributes: Attributes | None
    quality: Quality | None


@dataclass(frozen=True, slots=True)
class DetectionResult:
    """The answer: the pixels of the upright picture, and its faces, largest first."""

    width: int
    height: int
    faces: tuple[DetectedFace, ...]
