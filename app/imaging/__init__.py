"""Bytes -> pixels: reading, fetching and decoding pictures, safely."""
