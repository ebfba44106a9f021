"""The part of a file that decoders need, as ``container.strip`` returns it."""

from typing import NamedTuple


class StrippedFile(NamedTuple):
    """``data``: a file that decoders accept. ``is_cut``: the original file ends too early, perhaps after its last row.

    ``probe``: ``data`` with other bytes after its last scan. Both decode to the same pixels only if no row is missing.
    Empty if decoders report missing rows.
    """

    data: bytes
    is_cut: bool = False
    probe: bytes = b""
