"""A look at a picture ends in time."""

from __future__ import annotations

import time

import numpy as np
import pytest

from app.domain import Face, Image
from app.errors import ApiError, ErrorCode
from app.ops.deadline import Deadline
from app.service.look import Looker
from benchmarks.pictures import jpeg


class _Nobody:
    """A slow detector that finds nobody."""

    def __init__(self) -> None:
        self.calls = 0

    def detect(self, image: Image) -> list[Face]:
        self.calls += 1
        time.sleep(0.3)
        return []


def test_no_turn_is_begun_when_the_time_is_over() -> None:
    nobody = _Nobody()
    grey = jpeg(np.full((100, 100, 3), 90, np.uint8))
    with pytest.raises(ApiError) as caught:
        Looker(nobody, 0.8).look(grey, Deadline.after(0.5), rotate=True)
    assert caught.value.code is ErrorCode.REQUEST_TIMEOUT
    assert nobody.calls < 4
