"""``compareface inspect PHOTO``: what the judgement of a picture's quality sees, as one PNG and as a table."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.cli.findings import Finding
    from app.config import Settings
    from app.domain import Face, Image

_ROWS = 4


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "inspect",
        help="draw the faces of a picture and how good it is",
        description="Draw into one PNG the faces of a picture and what their quality is made of; print the numbers.",
    )
    parser.add_argument("photo", metavar="PHOTO", type=Path, help="a file")
    parser.add_argument("--out", metavar="FILE.png", type=Path, help="default: PHOTO's stem and .inspect.png, here")
    parser.add_argument("--rotate", action="store_true", help="as NeedRotateDetection=1")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    import cv2  # noqa: PLC0415 - heavy; the parser must stay quick

    from app.cli.drawing import draw  # noqa: PLC0415
    from app.cli.findings import as_json, as_text  # noqa: PLC0415
    from app.config import load  # noqa: PLC0415
    from app.imaging.source import check_size  # noqa: PLC0415

    settings = load()
    data, out = check_size(args.photo.read_bytes()), _target(args.photo, args.out)
    image, faces, findings = _look(settings, data, rotate=args.rotate)
    policy = settings.quality.policy
    out.write_bytes(cv2.imencode(".png", draw(image, faces, findings, policy))[1].tobytes())
    if args.json:
        print(json.dumps({"Out": str(out), "FaceNum": len(faces), "Faces": [as_json(one, policy) for one in findings]}))
    else:
        print(as_text(findings, policy))
        told = f" ({len(findings)} told)" if len(findings) < len(faces) else ""
        print(f"{len(faces)} {'face' if len(faces) == 1 else 'faces'}{told}, drawn in {out}")
    return 0


def _target(photo: Path, named: Path | None) -> Path:
    """Return where to write; raise ``OSError`` where that would overwrite the picture."""
    out = named or Path(f"{photo.stem}.inspect.png")
    if out.exists() and out.samefile(photo):
        raise OSError(f"{out} is the picture itself; name another file with --out")
    return out


def _look(settings: Settings, data: bytes, *, rotate: bool) -> tuple[Image, list[Face], list[Finding]]:
    """Return the picture, its faces, and what is found of the compared one and of the largest others, in this order."""
    from app.cli.findings import find  # noqa: PLC0415
    from app.engine import open_assessor, open_pipelines  # noqa: PLC0415
    from app.ops.deadline import Deadline  # noqa: PLC0415
    from app.packs.store import Store  # noqa: PLC0415
    from app.runtime.threads import available_cores, thread_budget  # noqa: PLC0415
    from app.vision.selection import largest_first, select  # noqa: PLC0415

    budget = thread_budget(settings.runtime.threads or available_cores(), settings.runtime.device)
    store, pack = Store.configured(settings.models)
    assessor = open_assessor(settings, budget)
    looker = open_pipelines(settings, store, pack, budget, assessor).looker
    image, faces = looker.look(data, Deadline.after(settings.limits.deadline_s), rotate=rotate)
    compared = select(faces, image, settings.compare.matching_strategy, pack.detector.clear)
    shown = [compared, *(face for face in largest_first(faces, image) if face is not compared)][:_ROWS]
    level = pack.detector.level_pitch
    findings = [find(assessor, image, face, is_compared=face is compared, level_pitch=level) for face in shown]
    return image, faces, findings
