"""Converters and quantisers: published model files to the ONNX files of a pack. Build tools only."""
