"""Detect the faces of an image and measure the target face and the largest other faces."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from app.domain import CompareOptions, Face, Image, TargetNote
from app.engine import open_pipelines, open_shared_resources
from app.environment import Settings
from app.errors import OperatorError
from app.imaging.source import check_size
from app.ops.stage_timer import StageTimer
from app.packs.store import Store
from app.service.errors import api_errors
from app.tools.inspect.findings import Finding, inspect_face
from app.vision.selection import RotatedFaceError, largest_first

_MAX_FINDINGS = 4


class InspectError(OperatorError):
    """The drawing cannot be written."""


class Inspection(NamedTuple):
    """A decoded image, its faces, findings about the target face and the largest others, notes about its choice."""

    image: Image
    faces: list[Face]
    findings: list[Finding]
    notes: tuple[TargetNote, ...]


def output_path(photo: Path, out: Path | None) -> Path:
    """Return the file to write. Only ``out`` may replace a file, because equal names of photos give the same default.

    Raises :class:`InspectError` otherwise, and if the file is the photo itself.
    """
    path = out or Path(f"{photo.name}.inspect.png")
    if path.exists() and path.samefile(photo):
        raise InspectError(f"{path} is the photo itself; name another file with --out")
    if path.exists() and not out:
        raise InspectError(f"{path} exists; replace it with --out {shlex.quote(str(path))}, or name another file")
    return path


def inspect(settings: Settings, encoded: bytes, *, rotate: bool) -> Inspection:
    """Inspect an encoded image; raise ``ApiError`` if it shows no face or cannot be used."""
    check_size(encoded)
    store, pack = Store.with_selected_pack(settings.models)
    shared = open_shared_resources(settings)
    pipelines = open_pipelines(settings, store, pack, shared)
    detection = pipelines.detection
    timer = StageTimer.after(settings.limits.deadline_s)
    with api_errors():
        image, faces = detection.detect_all(detection.parse(encoded, timer), timer, rotate=rotate)
        target, notes = detection.select(image, faces, settings.compare.matching_strategy, timer)
        if not (rotate or detection.is_upright(image, target, timer)):
            raise RotatedFaceError
        embedding, _ = pipelines.embedding.embed(encoded, CompareOptions(rotate=rotate), timer)
    inspected = [target, *(face for face in largest_first(faces, image) if face is not target)][:_MAX_FINDINGS]
    offset = pack.detector.pitch_offset
    findings = [
        inspect_face(shared.assessor, image, face, is_compared=face is target, pitch_offset=offset)
        for face in inspected
    ]
    findings[0] = replace(findings[0], degradation=float(embedding[-1]))
    return Inspection(image, faces, findings, notes)
