import xml.etree.ElementTree as ET

import numpy as np
import pytest

from app.tools.evaluation.charts import Axis, Chart, power_ticks

_AXIS = Axis("x", 0.01, 1.0, [(0.1, "0.1")], is_log=True)


def test_values_outside_an_axis_are_drawn_at_its_ends() -> None:
    np.testing.assert_allclose(_AXIS.share([0.0, 0.01, 0.1, 1.0, 5.0]), [0.0, 0.0, 0.5, 1.0, 1.0])


def test_a_threshold_is_a_vertical_line_with_a_label() -> None:
    chart = Chart("", _AXIS, _AXIS)
    chart.threshold(0.1, "<40>")
    assert chart.svg().count('<path class="threshold" d="M355.0 14V330"/>') == 1
    assert "&lt;40&gt;" in chart.svg()


def test_titles_and_labels_are_escaped() -> None:
    chart = Chart("a & b", _AXIS, _AXIS)
    chart.dot(0.1, 0.1, "<", label_offset=-8)
    assert "<title>a &amp; b</title>" in chart.svg()
    ET.fromstring(chart.svg())


def test_ticks_are_the_powers_of_ten_above_the_lower_end() -> None:
    assert [value for value, _ in power_ticks(0.0005)] == pytest.approx([0.001, 0.01, 0.1, 1])
    assert [value for value, _ in power_ticks(1e-7)] == pytest.approx([10.0**n for n in range(-7, 1)])
