"""``compareface inspect PHOTO``: draw the faces of an image as a PNG, and print their quality as a table."""

import argparse
import json
from pathlib import Path

import cv2

from app.domain import Face, Image
from app.engine import open_pipelines, open_shared_models
from app.environment import Settings, load_settings
from app.imaging.source import check_size
from app.ops.stage_timer import StageTimer
from app.packs.store import Store
from app.service.errors import api_errors
from app.tools.inspect.drawing import draw
from app.tools.inspect.findings import Finding, as_json, as_text, inspect_face
from app.vision.selection import largest_first, select

_MAX_ROWS = 4


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Draw the faces of an image and the components of their quality as a PNG; print the numbers."
    parser.add_argument("photo", metavar="PHOTO", type=Path, help="an image file")
    out = "default: PHOTO's name with .inspect.png, in the current folder"
    parser.add_argument("--out", metavar="FILE.png", type=Path, help=out)
    parser.add_argument("--rotate", action="store_true", help="as NeedRotateDetection=1")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    settings = load_settings()
    encoded, out = check_size(args.photo.read_bytes()), _output_path(args.photo, args.out)
    image, faces, findings = _inspect(settings, encoded, rotate=args.rotate)
    policy = settings.quality.policy
    out.write_bytes(cv2.imencode(".png", draw(image, faces, findings, policy))[1].tobytes())
    if args.json:
        records = [as_json(finding, policy) for finding in findings]
        print(json.dumps({"Out": str(out), "FaceNum": len(faces), "Faces": records}))
    else:
        print(as_text(findings, policy))
        omitted = f" ({len(findings)} in the table)" if len(findings) < len(faces) else ""
        print(f"{len(faces)} {'face' if len(faces) == 1 else 'faces'}{omitted}, drawn in {out}")
    return 0


def _output_path(photo: Path, out: Path | None) -> Path:
    """Return the file to write; raise ``OSError`` if that is the photo itself."""
    path = out or Path(f"{photo.stem}.inspect.png")
    if path.exists() and path.samefile(photo):
        raise OSError(f"{path} is the photo itself; name another file with --out")
    return path


def _inspect(settings: Settings, encoded: bytes, *, rotate: bool) -> tuple[Image, list[Face], list[Finding]]:
    """Return the decoded image, its faces, and the findings of the target face and of the largest other faces."""
    store, pack = Store.with_selected_pack(settings.models)
    shared = open_shared_models(settings)
    detection = open_pipelines(settings, store, pack, shared).detection
    timer = StageTimer.after(settings.limits.deadline_s)
    image, faces = detection.detect_all(detection.parse(encoded, timer), timer, rotate=rotate)
    with api_errors():
        target = select(faces, image, settings.compare.matching_strategy, pack.detector.selection_confidence)
    inspected = [target, *(face for face in largest_first(faces, image) if face is not target)][:_MAX_ROWS]
    offset = pack.detector.pitch_offset
    findings = [
        inspect_face(shared.assessor, image, face, is_compared=face is target, pitch_offset=offset)
        for face in inspected
    ]
    return image, faces, findings
