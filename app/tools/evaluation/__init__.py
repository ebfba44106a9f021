"""``compareface evaluate`` and ``calibrate``: FAR and TAR on labelled faces, and the report."""
