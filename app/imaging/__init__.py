"""Bytes -> pixels: ``source`` finds the bytes of a picture (``fetch`` and ``address`` guard the network), ``decode``
turns them into an upright ``Image``. Knows nothing of faces."""
