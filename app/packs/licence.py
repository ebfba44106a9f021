"""Acceptance of model licences, recorded beside the weights in ``LICENCE-ACCEPTED.toml``.

The record names the accepted licence. A pack whose licence has changed since must be accepted again.
"""

from __future__ import annotations

import json
import tomllib
from datetime import UTC, datetime
from pathlib import Path

from app.packs import files
from app.packs.manifest import Licence

_FILE_NAME = "LICENCE-ACCEPTED.toml"


def is_accepted(licence: Licence, folder: Path) -> bool:
    """Return whether the licence needs no acceptance, or was accepted in this version."""
    if not licence.needs_acceptance:
        return True
    try:
        record = tomllib.loads((folder / _FILE_NAME).read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return (record.get("licence"), record.get("url")) == (licence.name, licence.url)


def record_acceptance(licence: Licence, folder: Path) -> None:
    """Record that the licence was accepted now."""
    lines = [
        "# The licence was accepted when the pack was pulled. Without this file the pack is not loaded.",
        f"licence = {json.dumps(licence.name)}",  # a JSON string is a TOML string
        f"url = {json.dumps(licence.url)}",
        f"accepted = {datetime.now(UTC).isoformat(timespec='seconds')}",
    ]
    files.write(folder / _FILE_NAME, ("\n".join(lines) + "\n").encode())
