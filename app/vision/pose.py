"""Estimate the pose of a head from its five landmarks.

Weak perspective: a 2 x 3 matrix maps a rigid head model to the landmarks. The matrix is fitted by least squares and
replaced by the nearest scaled rotation. Pitch and yaw are only accurate to a few degrees, because noses differ
in length.
"""

import numpy as np
from numpy.typing import NDArray

from app.domain import Landmarks, Pose

HEAD: NDArray[np.float64] = np.array(
    [[-17.6, 0.0, 0.0], [17.6, 0.0, 0.0], [0.0, 21.1, -14.4], [-14.8, 37.2, -1.1], [14.8, 37.2, -1.1]]
)
"""5 x 3, x to the viewer's right, y down, z away from the viewer; the eyes are 35.2 units apart.

x and y: the mean landmarks of CenterFace on 200 LFW images, made symmetric. z: the six-point head of Mallick, "Head
Pose Estimation using OpenCV and Dlib", 2016. Its nose is 135 units in front of the outer eye corners and 125 in front
of the mouth's corners. Its eye corners are 450 units apart; 330 units between the pupils are assumed.
"""
_INVERSE = np.linalg.pinv(HEAD - HEAD.mean(axis=0))


def pose(landmarks: Landmarks, pitch_offset: float) -> Pose:
    """Return the pose of the head with ``landmarks``, in degrees.

    ``pitch_offset`` (see ``DetectorSpec``) is subtracted, because detectors place the mouth at different heights.
    """
    points = landmarks.astype(np.float64)
    projection = (_INVERSE @ (points - points.mean(axis=0))).T
    left, _, right = np.linalg.svd(projection, full_matrices=False)
    x_axis, y_axis = left @ right
    z_axis = np.cross(x_axis, y_axis)
    return Pose(
        pitch=float(np.degrees(-np.arctan2(z_axis[1], z_axis[2]))) - pitch_offset,
        yaw=float(np.degrees(np.arcsin(np.clip(z_axis[0], -1.0, 1.0)))),
        roll=float(np.degrees(np.arctan2(y_axis[0], x_axis[0]))),
    )
