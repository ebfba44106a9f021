"""``compareface shadow``: replay recorded requests on another service and compare the answers."""
