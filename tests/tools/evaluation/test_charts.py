from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np

from app.tools.evaluation.charts import Axis, Chart

_AXIS = Axis("x", 0.01, 1.0, [(0.1, "0.1")], is_log=True)


def test_values_outside_an_axis_are_drawn_at_its_ends() -> None:
    np.testing.assert_allclose(_AXIS.share([0.0, 0.01, 0.1, 1.0, 5.0]), [0.0, 0.0, 0.5, 1.0, 1.0])


def test_titles_and_labels_are_escaped() -> None:
    chart = Chart("a & b", _AXIS, _AXIS)
    chart.mark(0.1, 0.1, "<", anchor="end")
    assert "<title>a &amp; b</title>" in chart.svg()
    ET.fromstring(chart.svg())
