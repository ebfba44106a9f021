"""Scores with a measured meaning: pair statistics, calibration and the vendor's score scales."""
