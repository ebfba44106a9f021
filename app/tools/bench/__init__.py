"""``compareface bench``: stage durations on this machine, and load on a running service."""
