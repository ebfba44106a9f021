"""The arguments that name labelled faces, and the pack to embed them with."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_source(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that ``measure`` reads."""
    parser.add_argument("folder", nargs="?", type=Path, metavar="FOLDER", help="one sub-folder per person")
    parser.add_argument(
        "--pairs",
        type=Path,
        metavar="FILE",
        help="compare listed pairs only: lines `A B same|different`, or with FOLDER a pairs.txt as LFW has it",
    )
    parser.add_argument("--pack", metavar="NAME", help="default: the configured one")
