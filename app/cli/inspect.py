"""``compareface inspect PHOTO``: what the judgement of a picture's quality sees, as one PNG and as a table."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from app.environment import load_settings

if TYPE_CHECKING:
    from app.domain import Face, Image
    from app.environment import Settings
    from app.tools.inspect.findings import Finding

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

    from app.imaging.source import check_size  # noqa: PLC0415
    from app.tools.inspect.drawing import draw  # noqa: PLC0415
    from app.tools.inspect.findings import as_json, as_text  # noqa: PLC0415

    settings = load_settings()
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
    from app.engine import open_pipelines, open_shared_models  # noqa: PLC0415
    from app.ops.stage_timer import StageTimer  # noqa: PLC0415
    from app.packs.store import Store  # noqa: PLC0415
    from app.runtime.worker_pool import available_cores, thread_budget  # noqa: PLC0415
    from app.service.errors import api_errors  # noqa: PLC0415
    from app.tools.inspect.findings import inspect_face  # noqa: PLC0415
    from app.vision.selection import largest_first, select  # noqa: PLC0415

    budget = thread_budget(settings.runtime.threads or available_cores(), settings.runtime.device)
    store, pack = Store.with_selected_pack(settings.models)
    shared = open_shared_models(settings, budget)
    detection = open_pipelines(settings, store, pack, shared).detection
    assessor, timer = shared.assessor, StageTimer.after(settings.limits.deadline_s)
    image, faces = detection.detect_all(detection.parse(data, timer), timer, rotate=rotate)
    with api_errors():
        compared = select(faces, image, settings.compare.matching_strategy, pack.detector.selection_confidence)
    shown = [compared, *(face for face in largest_first(faces, image) if face is not compared)][:_ROWS]
    level = pack.detector.pitch_offset
    findings = [inspect_face(assessor, image, face, is_compared=face is compared, pitch_offset=level) for face in shown]
    return image, faces, findings
