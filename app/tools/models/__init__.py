"""Download packs, check their files and compare their models, for ``compareface models``."""
