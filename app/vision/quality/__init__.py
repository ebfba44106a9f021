"""Image quality of a face: sharpness, brightness, completeness, and the grade for ``QualityControl``."""
