"""``compareface batch``: score a table of image pairs; every distinct image is embedded once."""
