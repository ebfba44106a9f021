"""Draw the faces of an image and their quality, for ``compareface inspect``."""
