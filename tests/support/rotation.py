"""Rotated images with known landmarks."""

import numpy as np

from app.domain import Image, Landmarks
from app.vision.rotation import Rotation

MAX_LANDMARK_ERROR = 0.25
"""Mean landmark error, in eye distances, up to which a face counts as found."""


def rotate(image: Image, landmarks: Landmarks | None, degrees: float) -> tuple[Image, Landmarks]:
    """Return the image rotated clockwise, and its landmarks."""
    rotation = Rotation.for_image(image, degrees)
    points = np.zeros((5, 2), np.float32) if landmarks is None else landmarks
    return rotation.apply(image), (points @ rotation.matrix[:, :2].T + rotation.matrix[:, 2]).astype(np.float32)


def landmark_error(landmarks: Landmarks, expected: Landmarks) -> float:
    """Return the mean distance of the landmarks, in eye distances."""
    eye_distance = float(np.hypot(*(expected[1] - expected[0])))
    return float(np.hypot(*(landmarks - expected).T).mean()) / eye_distance
