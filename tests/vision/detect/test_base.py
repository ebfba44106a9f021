import cv2
import numpy as np
import pytest

from app.domain import Image
from app.vision.detect.base import nms, resize_and_pad


def test_nms_suppresses_overlapping_boxes_and_keeps_distant_ones() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 1, 11, 11], [50, 50, 60, 60], [5, 0, 15, 10]], dtype=np.float32)
    assert nms(boxes, 0.3) == [0, 2]
    assert nms(boxes, 0.4) == [0, 2, 3]
    assert nms(np.zeros((0, 4), dtype=np.float32), 0.3) == []


@pytest.mark.parametrize(
    ("shape", "resized", "scale"),
    [((250, 250), (256, 256), 1.0), ((1280, 960), (640, 480), 0.5), ((64, 4000), (32, 640), 0.16)],
)
def test_images_are_shrunk_and_padded_but_never_enlarged(
    shape: tuple[int, int], resized: tuple[int, int], scale: float
) -> None:
    image, actual_scale = resize_and_pad(np.full((*shape, 3), 255, dtype=np.uint8), 640)
    assert image.shape[:2] == resized
    assert actual_scale == pytest.approx(scale)
    assert image[0, 0].min() == 255


@pytest.mark.parametrize(("side", "max_side"), [(250, 96), (338, 96), (250, 160), (1350, 640), (4000, 96)])
def test_shrinking_skips_no_pixel_and_shifts_none(side: int, max_side: int) -> None:
    ramp = np.repeat(np.linspace(0, 255, side)[None], side, axis=0).round().astype(np.uint8)
    checkerboard = np.indices((side, side)).sum(axis=0).astype(np.uint8) % 2 * 255
    image, scale = resize_and_pad(np.stack([ramp, ramp.T, checkerboard], axis=2), max_side)
    centres = (np.arange(max_side) + 0.5) / scale - 0.5
    expected = 255 * centres / (side - 1)
    horizontal, vertical, grey = (image[:max_side, :max_side, channel].astype(float) for channel in range(3))
    for resized_ramp in (horizontal, vertical.T):
        assert np.abs(resized_ramp - expected)[:, 1:-1].mean() < 0.5
    assert side < 2 * max_side or np.abs(grey - 127.5).max() < 15


@pytest.mark.parametrize("shape", [(64, 4000), (100, 4000), (4000, 64), (4000, 3000), (96, 97)])
@pytest.mark.parametrize("max_side", [96, 160, 320, 640])
def test_shrinking_drops_at_most_one_32nd_of_a_side(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int], max_side: int
) -> None:
    input_shapes = []

    def resize(image: Image, size: tuple[int, int], interpolation: int) -> Image:
        input_shapes.append(image.shape[:2])
        return cv2_resize(image, size, interpolation=interpolation)  # type: ignore[return-value]

    cv2_resize = cv2.resize
    monkeypatch.setattr("app.vision.detect.base.cv2.resize", resize)
    resize_and_pad(np.zeros((*shape, 3), np.uint8), max_side)
    for used, side in zip(input_shapes[0] if input_shapes else shape, shape, strict=True):
        assert used >= 31 / 32 * side
