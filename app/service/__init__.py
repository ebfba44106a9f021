"""The use case: compare two pictures."""
