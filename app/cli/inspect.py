"""``compareface inspect IMAGE``: draw the faces of an image as a PNG, and print their quality as a table."""

import argparse
import json
from pathlib import Path

import cv2

from app.environment import load_settings
from app.tools.files import named
from app.tools.inspect.drawing import draw
from app.tools.inspect.findings import as_json, as_text
from app.tools.inspect.inspection import inspect, output_path


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Draw the faces of an image and the components of their quality as a PNG; print the numbers."
    parser.add_argument("photo", metavar="IMAGE", type=Path, help="an image file")
    out = "default: IMAGE.inspect.png in the current folder, if there is no such file"
    parser.add_argument("--out", metavar="FILE.png", type=Path, help=out)
    parser.add_argument("--rotate", action="store_true", help="also detect rotated faces (NeedRotateDetection 1)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    settings = load_settings()
    encoded, out = args.photo.read_bytes(), output_path(args.photo, args.out)
    image, faces, findings, notes = inspect(settings, encoded, rotate=args.rotate)
    policy = settings.quality.policy
    drawing = cv2.imencode(".png", draw(image, faces, findings, policy))[1].tobytes()
    with named(out):
        out.write_bytes(drawing)
    if args.json:
        records = [as_json(finding, policy) for finding in findings]
        print(json.dumps({"Out": str(out), "FaceNum": len(faces), "Notes": notes, "Faces": records}))
    else:
        print(as_text(findings, policy))
        for note in notes:
            print(f"Note: {note.text}")
        omitted = f" ({len(findings)} in the table)" if len(findings) < len(faces) else ""
        print(f"{len(faces)} {'face' if len(faces) == 1 else 'faces'}{omitted}, drawn in {out}")
    return 0
