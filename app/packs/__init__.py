"""Model packs: their records, their weight files, and how these files are obtained.

A pack is a folder of the catalogue with a ``pack.toml``. It names the detector and the embedder, their input formats,
and the SHA-256 of every weight file. :mod:`store` locates and verifies weight files. :mod:`build` converts files of
installed packages. :mod:`pull` downloads files or takes them from local folders. This package never runs a model.
"""
