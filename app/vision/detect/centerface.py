"""CenterFace (Xu et al., "CenterFace: Joint Face Detection and Alignment Using Face as Point", 2019).

Input: RGB, 0-255, without mean or scale. Output, at stride 4: a heat map, log sizes (height, width), centre offsets
(y, x), and landmarks (y, x). The landmarks are relative to the box's corner, in units of its height and width.
"""

from collections.abc import Sequence

import numpy as np

from app.domain import Image
from app.runtime.session import Tensor
from app.vision.detect.base import Candidates, NetworkDetector, to_blob, top_candidates

_STRIDE = 4


class CenterFace(NetworkDetector):
    """The detector of the family ``centerface``."""

    max_iou = 0.3

    def candidates(self, image: Image) -> Candidates:
        return decode([output[0] for output in self._session.run(to_blob(image[:, :, ::-1]))], self._confidence)


def decode(maps: Sequence[Tensor], confidence: float) -> Candidates:
    """Decode the output maps; return candidates in pixels of the network's input.

    ``maps``, all float32: heat 1 x h x w, sizes 2 x h x w, offsets 2 x h x w, landmarks 10 x h x w.
    """
    heat, sizes, offsets, points = maps
    top = top_candidates(heat.ravel(), confidence)
    rows, columns = np.divmod(top, heat.shape[2])
    spans = np.exp(sizes[:, rows, columns]) * _STRIDE  # height, width
    centres = (np.stack([rows, columns]) + offsets[:, rows, columns] + 0.5) * _STRIDE
    corners = centres - spans / 2
    boxes = np.stack([corners[1], corners[0], corners[1] + spans[1], corners[0] + spans[0]], axis=1)
    landmarks_yx = points[:, rows, columns].reshape(5, 2, -1) * spans + corners
    landmarks = landmarks_yx[:, ::-1].transpose(2, 0, 1).astype(np.float32)
    return Candidates(heat.ravel()[top], boxes.astype(np.float32), landmarks)
