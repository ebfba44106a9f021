"""compareface: a self-hosted, drop-in reimplementation of Tencent Cloud's CompareFace and DetectFace.

Reading order, top to bottom; nothing imports upwards (held by import-linter):

1. ``api``      the wire: HTTP <-> domain, signatures, envelope       (``asgi`` assembles it)
2. ``service``  the use cases: two pictures in, one comparison out; one in, its faces (``engine`` builds them)
3. ``imaging``  bytes -> pixels
4. ``vision``   pixels -> face -> embedding
5. ``scoring``  two embeddings -> one calibrated number
6. ``packs``    what models are;  ``runtime``  where they run;  ``ops``  how one sees it run
7. ``config`` (of ``settings``), ``domain``, ``errors``  the vocabulary
"""

__version__ = "0.1.0"
