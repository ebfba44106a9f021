"""What models are: a pack's record (``manifest``), where its files lie (``store``), how they are made.

A pack is a folder of the catalogue with a ``pack.toml``: which detector and embedder, how to feed them, and the
digest of every file. ``prepare`` makes the files out of installed packages; whoever starts the service resolves them
by digest. This package never runs a model, and nothing on the way to a prepared pack imports ``onnx``: the
``converters`` are imported only when a file has to be made.
"""
