"""Demonstration, speed and accuracy: run on the real models, from the repository root."""
