"""compareface: a self-hosted, drop-in reimplementation of Tencent Cloud's CompareFace and DetectFace.

``README.md`` in this folder describes the layers and the path of a request.
"""

__version__ = "0.1.0"
