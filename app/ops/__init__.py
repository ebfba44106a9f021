"""Seeing it run: deadlines, logs, metrics, traces."""
