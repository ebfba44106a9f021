"""compareface: a self-hosted, drop-in reimplementation of Tencent Cloud's CompareFace and DetectFace.

Reading order; import-linter checks that no package imports one above it:

1. ``api``      HTTP requests to domain values, signatures, responses   (``asgi`` assembles the application)
2. ``service``  the use cases CompareFace and DetectFace                (``engine`` opens and closes their resources)
3. ``imaging``  encoded image to pixels
4. ``vision``   pixels to face to embedding
5. ``scoring``  two embeddings to a calibrated score
6. ``packs``    model files;  ``runtime``  inference;  ``ops``  logs, metrics, traces
7. ``environment``, ``settings``, ``domain``, ``errors``  vocabulary of all packages

``server`` adapts uvicorn, ``tools`` holds the offline use cases, ``cli`` the commands.
"""

__version__ = "0.1.0"
