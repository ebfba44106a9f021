"""A pack of weights that insightface can run as well: det_2.5g and a MobileFaceNet of ``../shared/models``.

``python -m tests.support.standin CATALOGUE serve`` is ``compareface serve`` with a catalogue that has this pack.
"""

import re
import shutil
import sys
from pathlib import Path

from app.cli import main as compareface
from app.packs import store
from app.packs.files import digest

_MODELS = Path(__file__).resolve().parents[2] / "models"
_TEMPLATE = """
name = "standin"
summary = "SCRFD-2.5G of buffalo_m and a MobileFaceNet of unknown origin, for tests"
[licence]
name = "unknown"
url = "https://example.org/unknown"
terms = "tests only"
commercial = false
needs_acceptance = {needs_acceptance}
[detector]
family = "scrfd"
file = "det_2.5g.onnx"
confidence = 0.5
selection_confidence = 0.75
upright_confidence = 0.82
max_side = 640
pitch_offset = 0.0
landmark_crop = {{ side = 96, face = 60.0 }}
[embedder]
file = "mobilefacenet.onnx"
input_size = 112
dimension = 128
mean = [127.5, 127.5, 127.5]
std = 127.5
color = "RGB"
mirror = {mirror}
template = [
    [38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041],
]
"""
_FILE = """
[[downloads]]
name = "{name}"
url = "https://example.invalid/{name}"
sha256 = "{digest}"
size = {size}
[[files]]
name = "{name}"
sha256 = "{digest}"
size = {size}
licence = "unknown"
[files.source]
downloads = ["{name}"]
"""


def weights(shared: Path) -> tuple[Path, Path]:
    """Return the paths of detector and embedder."""
    return shared / "models/insightface/det_2.5g.onnx", shared / "models/standin/mobilefacenet.onnx"


def catalogue(shared: Path, folder: Path, *, mirror: bool, needs_acceptance: bool) -> Path:
    """Write a catalogue with the pack ``standin`` into ``folder``; its calibration is a copy of that of `open`."""
    pack = folder / "standin"
    pack.mkdir(parents=True)
    paths = weights(shared)
    head = _TEMPLATE.format(mirror=str(mirror).lower(), needs_acceptance=str(needs_acceptance).lower())
    parts = [_FILE.format(name=path.name, digest=digest(path), size=path.stat().st_size) for path in paths]
    (pack / "pack.toml").write_text("".join([head, *parts]), "utf-8")
    measured = (_MODELS / "open/calibration.toml").read_text("utf-8")
    bound = re.sub(r'(?<=embedder_sha256 = ")[0-9a-f]+', digest(paths[1]), measured)
    (pack / "calibration.toml").write_text(bound, "utf-8")
    shutil.copytree(_MODELS / "quality", folder / "quality", ignore=shutil.ignore_patterns("train"))
    return folder


def installed(shared: Path, folder: Path) -> Path:
    """Return a catalogue in ``folder`` with the weights beside its ``pack.toml``."""
    root = catalogue(shared, folder, mirror=False, needs_acceptance=False)
    for path in weights(shared):
        shutil.copy(path, root / "standin")
    return root


def insightface_root(shared: Path, folder: Path) -> Path:
    """Copy the same files to the layout of ``FaceAnalysis``; return its ``root``."""
    models = folder / "models/standin"
    models.mkdir(parents=True)
    for path in weights(shared):
        shutil.copy(path, models)
    return folder


if __name__ == "__main__":
    store._CHECKOUT_CATALOGUE = Path(sys.argv[1])
    sys.exit(compareface(sys.argv[2:]))
