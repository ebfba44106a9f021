"""Pixels -> face -> embedding. Pure numpy and OpenCV around a ``Session``."""
