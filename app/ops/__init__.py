"""Seeing it run: deadlines and logs."""
