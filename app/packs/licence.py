"""Who pulls a pack whose licence asks for it accepts that licence; the record of it lies beside the weights.

In: the pack's :class:`Licence` and the folder of its weights. Out: ``LICENCE-ACCEPTED.toml`` there: which licence, and
when. A pack whose licence has changed since has to be accepted anew.
"""

from __future__ import annotations

import json
import tomllib
from datetime import UTC, datetime
from pathlib import Path

from app.packs import files
from app.packs.manifest import Licence

_NAME = "LICENCE-ACCEPTED.toml"


def is_settled(licence: Licence, folder: Path) -> bool:
    """Whether the licence needs no acceptance, or has been accepted as it is."""
    if not licence.needs_acceptance:
        return True
    try:
        record = tomllib.loads((folder / _NAME).read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return (record.get("licence"), record.get("url")) == (licence.name, licence.url)


def record(licence: Licence, folder: Path) -> None:
    """Write down that the licence was accepted now."""
    lines = [
        "# Accepted by whoever pulled the pack; without this file it is not loaded.",
        f"licence = {json.dumps(licence.name)}",  # a JSON string is a TOML string
        f"url = {json.dumps(licence.url)}",
        f"accepted = {datetime.now(UTC).isoformat(timespec='seconds')}",
    ]
    files.write(folder / _NAME, ("\n".join(lines) + "\n").encode())
