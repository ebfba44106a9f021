"""``compareface inspect``: draw the faces of an image and their quality."""
