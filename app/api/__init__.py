"""The wire: HTTP <-> domain, as the vendor's API 3.0 speaks it. ``gateway`` is the list of what happens to a request.

Nothing here knows pixels: no numpy, no cv2, no onnxruntime. What the wire needs of the engine is in ``engine``.
"""
