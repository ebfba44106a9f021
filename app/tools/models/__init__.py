"""``compareface models``: download packs and check the int8 model on this machine."""
