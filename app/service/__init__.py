"""The use cases: compare the faces of two pictures; tell what faces one has."""
