"""Evaluation and calibration on labelled faces, and the HTML report, for ``compareface evaluate`` and ``calibrate``."""
