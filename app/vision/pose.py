"""Five landmarks -> where the head looks.

A rigid head seen from afar is a 2 x 3 matrix away from its landmarks (weak perspective): fitted by least squares, then
brought to the nearest scaled rotation. ``yaw`` and ``pitch`` hang on how much the nose of the head model stands out, so
they are good to some degrees; so is ``roll``, of a head that is turned far. Detectors put mouths at different heights:
``pitch`` 0 is the pitch of the average photograph of a face, of each detector.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.domain import Landmarks, Pose

HEAD: NDArray[np.float64] = np.array(
    [[-17.6, 0.0, 0.0], [17.6, 0.0, 0.0], [0.0, 21.1, -14.4], [-14.8, 37.2, -1.1], [14.8, 37.2, -1.1]]
)
"""5 x 3, x to the viewer's right, y down, z away from the viewer; the eyes are 35.2 units apart.

x and y: the mean of what CenterFace finds on 200 pictures of LFW, made symmetric. z: the six-point head of the OpenCV
tutorials on pose, whose pupils are 330 apart, its nose 135 before the eyes and 125 before the mouth's corners.
"""
_CENTRED = HEAD - HEAD.mean(axis=0)
_INVERSE = np.linalg.pinv(_CENTRED)


def pose(landmarks: Landmarks, pitch_offset: float) -> Pose:
    """Return the pose of the head with ``landmarks``, in degrees.

    ``pitch_offset``: the pitch that the detector's landmarks show of a face that looks straight ahead.
    """
    points = landmarks.astype(np.float64)
    seen = (_INVERSE @ (points - points.mean(axis=0))).T
    left, _, right = np.linalg.svd(seen, full_matrices=False)
    across, down = left @ right
    away = np.cross(across, down)
    return Pose(
        pitch=float(np.degrees(-np.arctan2(away[1], away[2]))) - pitch_offset,
        yaw=float(np.degrees(np.arcsin(np.clip(away[0], -1.0, 1.0)))),
        roll=float(np.degrees(np.arctan2(down[0], across[0]))),
    )
