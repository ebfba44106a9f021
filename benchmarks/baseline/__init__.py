"""The service that compareface is measured against."""
