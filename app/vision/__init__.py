"""Face detection, alignment, embedding, pose and quality of decoded images, with numpy, OpenCV and a ``Session``."""
