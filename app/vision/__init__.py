"""Pixels -> face -> embedding, pose and quality. Pure numpy and OpenCV around a ``Session``."""
