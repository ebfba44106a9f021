"""Benchmarks and demos on the real models; run from the repository root."""

from pathlib import Path

SHARED = Path(__file__).resolve().parents[2] / "shared"
"""Data sets and models beside the checkout; not part of the repository."""
