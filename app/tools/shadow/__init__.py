"""``compareface shadow``: replay recorded requests and compare the answers of two services."""
