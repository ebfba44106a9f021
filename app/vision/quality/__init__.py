"""One face -> how good its picture is: sharpness, brightness, what covers it, and what `QualityControl` says."""
