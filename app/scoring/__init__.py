"""Scores with a measured meaning: similarity, calibration and the vendor's score scales."""
