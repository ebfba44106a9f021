from __future__ import annotations

import cv2
import numpy as np
import pytest
import skimage.data

from app.domain import Image
from app.packs.manifest import Pack
from app.packs.store import Store
from app.runtime.session import OrtSession
from app.vision.detect.base import nms, resize_and_pad
from app.vision.detect.centerface import CenterFace, decode
from tests.support.images import astronaut, cast


@pytest.fixture(scope="module")
def detector(store: Store, pack: Pack) -> CenterFace:
    session = OrtSession.open(store.resolve(pack)[pack.detector.file], "cpu", 1)
    return CenterFace(session, pack.detector)


def _maps(height: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    shapes = [(height, width), (2, height, width), (2, height, width), (10, height, width)]
    heat, size, offset, points = (np.zeros(shape, dtype=np.float32) for shape in shapes)
    return heat, size, offset, points


def test_one_planted_box_is_decoded_to_its_place() -> None:
    heat, size, offset, points = _maps(20, 30)
    heat[7, 12] = 0.9
    size[:, 7, 12] = np.log([10.0, 6.0])  # height 40, width 24 pixels
    offset[:, 7, 12] = [0.25, -0.5]
    points[:, 7, 12] = [0.4, 0.3, 0.4, 0.7, 0.6, 0.5, 0.8, 0.35, 0.8, 0.65]
    (face,) = decode((heat, size, offset, points), 0.5, 0.5)
    centre_y, centre_x = (7 + 0.25 + 0.5) * 4, (12 - 0.5 + 0.5) * 4
    expected = np.array([centre_x - 12, centre_y - 20, centre_x + 12, centre_y + 20]) / 0.5
    box = face.box
    np.testing.assert_allclose([box.left, box.top, box.right, box.bottom], expected, rtol=1e-5)
    np.testing.assert_allclose(face.landmarks[0], (expected[0] + 0.3 * 48, expected[1] + 0.4 * 80), rtol=1e-5)
    assert face.confidence == pytest.approx(0.9)


def test_nothing_hot_means_no_faces() -> None:
    assert decode(_maps(8, 8), 0.5, 1.0) == []


def test_overlapping_boxes_are_suppressed_and_distant_ones_kept() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 1, 11, 11], [50, 50, 60, 60], [5, 0, 15, 10]], dtype=np.float32)
    assert nms(boxes, 0.3) == [0, 2]
    assert nms(boxes, 0.4) == [0, 2, 3]
    assert nms(np.zeros((0, 4), dtype=np.float32), 0.3) == []


@pytest.mark.parametrize(
    ("shape", "fitted", "scale"),
    [((250, 250), (256, 256), 1.0), ((1280, 960), (640, 480), 0.5), ((64, 4000), (32, 640), 0.16)],
)
def test_pictures_are_shrunk_and_padded_never_enlarged(
    shape: tuple[int, int], fitted: tuple[int, int], scale: float
) -> None:
    result = resize_and_pad(np.full((*shape, 3), 255, dtype=np.uint8), 640, 32)
    assert result.image.shape[:2] == fitted
    assert result.scale == pytest.approx(scale)
    assert result.image[0, 0].min() == 255


@pytest.mark.parametrize(("side", "max_side"), [(250, 96), (338, 96), (250, 160), (1350, 640), (4000, 96)])
def test_shrinking_skips_no_pixel_and_moves_none(side: int, max_side: int) -> None:
    ramp = np.repeat(np.linspace(0, 255, side)[None], side, axis=0).round().astype(np.uint8)
    checked = np.indices((side, side)).sum(axis=0).astype(np.uint8) % 2 * 255
    result = resize_and_pad(np.stack([ramp, ramp.T, checked], axis=2), max_side, 32)
    centres = (np.arange(max_side) + 0.5) / result.scale - 0.5
    expected = 255 * centres / (side - 1)
    across, down, grey = (result.image[:max_side, :max_side, channel].astype(float) for channel in range(3))
    for found in (across, down.T):
        assert np.abs(found - expected)[:, 1:-1].mean() < 0.5
    assert side < 2 * max_side or np.abs(grey - 127.5).max() < 15


@pytest.mark.parametrize("shape", [(64, 4000), (100, 4000), (4000, 64), (4000, 3000), (96, 97)])
@pytest.mark.parametrize("max_side", [96, 160, 320, 640])
def test_next_to_nothing_of_a_picture_is_left_out(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int], max_side: int
) -> None:
    averaged = []

    def resize(image: Image, size: tuple[int, int], interpolation: int) -> Image:
        averaged.append(image.shape[:2])
        return resized(image, size, interpolation=interpolation)  # type: ignore[return-value]

    resized = cv2.resize
    monkeypatch.setattr("app.vision.detect.base.cv2.resize", resize)
    resize_and_pad(np.zeros((*shape, 3), np.uint8), max_side, 32)
    for seen, whole in zip(averaged[0] if averaged else shape, shape, strict=True):
        assert seen >= 31 / 32 * whole


def test_the_astronaut_has_one_face_in_the_right_place(detector: CenterFace) -> None:
    (face,) = detector.detect(astronaut())
    assert face.confidence > 0.5
    read_off_the_picture = [(203.5, 101.5), (246.5, 103.6), (223, 127), (204.5, 141.6), (242.6, 142.6)]
    assert np.linalg.norm(face.landmarks - read_off_the_picture, axis=1).max() < 4


def test_six_people_have_six_faces(detector: CenterFace) -> None:
    assert len(detector.detect(cast())) == 6


@pytest.mark.parametrize("scale", [0.5, 2.0, 3.5])
def test_faces_keep_their_place_when_the_photo_is_scaled(detector: CenterFace, scale: float) -> None:
    (face,) = detector.detect(astronaut())
    resized = np.asarray(cv2.resize(astronaut(), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    (other,) = detector.detect(resized)
    eyes = float(np.linalg.norm(face.landmarks[1] - face.landmarks[0]))
    assert np.abs(other.landmarks / scale - face.landmarks).max() < 0.15 * eyes


def _without_faces() -> list[tuple[str, Image]]:
    names = ("coffee", "chelsea", "rocket", "coins", "text", "moon")
    pictures = []
    for name in names:
        picture = getattr(skimage.data, name)()
        if picture.ndim == 2:
            picture = np.repeat(picture[..., None], 3, axis=2)
        pictures.append((name, np.ascontiguousarray(picture[..., ::-1])))
    return pictures


@pytest.mark.parametrize(
    ("name", "picture"), _without_faces(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_pictures_without_a_face_have_none(detector: CenterFace, name: str, picture: Image) -> None:
    assert detector.detect(picture) == [], name
