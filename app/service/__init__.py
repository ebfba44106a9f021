"""The use cases: compare the faces of two images; detect the faces of one image."""
