"""Benchmarks and demos on the real models; run from the repository root."""
