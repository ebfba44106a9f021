"""Quality measures on real images: masks, grades, degradations, light, cost.

``python -m benchmarks.quality [--json FILE] [--sheets FOLDER]`` on ``../shared/data``, pack ``open``, one thread.
``held out``: people of LFW who were not used for training. ``--sheets`` draws faces on both sides of every level of
QualityControl.
"""

import argparse
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any, NamedTuple

import cv2
import numpy as np

from app.domain import CompareOptions, Image, MatchingStrategy, Quality, QualityPolicy
from app.engine import Pipelines, open_pipelines, open_shared_resources
from app.environment import Settings
from app.errors import ApiError
from app.ops.stage_timer import StageTimer
from app.packs.store import Store
from app.runtime.worker_pool import ThreadBudget
from app.tools.evaluation.intervals import binomial
from app.tools.shadow.agreement import spearman
from app.vision.quality.assessment import QualityAssessment, accepts, grade, problems
from app.vision.quality.crop import SIDE, QualityCrop
from app.vision.selection import select_target
from benchmarks import SHARED
from benchmarks.degraded import acceptance
from benchmarks.tables import table, write_json
from models.quality.train.faces import is_held_out
from tests.support.degradations import BRIGHTNESS_LADDERS, HARMLESS_LADDERS, SHARPNESS_LADDERS, Ladder
from tests.support.pipelines import detect_all

_DATA = SHARED / "data"
_BUDGET = ThreadBudget(workers=1, intra_op=1)
_CARD_HEIGHT = 300
_SHEET_SETS = ("LFW, held out", "LFW, used for training", "London", "without mask", "with mask")
_LADDER_STEP, _COST_RUNS = 13, 40
_COVERED_WITHOUT_MASK = {
    "0_0_yuanshanshan_0006.jpg": "fingers",
    "1_0_anhu_0042.jpg": "shaving foam",
    "1_0_anhu_0200.jpg": "a fist",
    "1_0_luojin_0093.jpg": "paper",
    "2020-06-23-120048 (another copy).jpg": "a hand",
}
"""Images of ``without_mask`` in which an object or a hand covers the mouth."""


class MeasuredFace(NamedTuple):
    """The target face of an image, and its quality."""

    path: Path
    assessment: QualityAssessment

    @property
    def quality(self) -> Quality:
        return self.assessment.quality

    @property
    def covered(self) -> set[str]:
        return {problem.text for problem in problems(self.quality) if problem.text.startswith("covered")}


class QualityBenchmark:
    """Detection, embedding and quality assessment with the pack ``open``."""

    def __init__(self) -> None:
        settings = Settings()
        store = Store.from_settings(settings.models)
        shared = open_shared_resources(settings, _BUDGET)
        self.assessor = shared.assessor
        self.pack = store.pack("open")
        self.pipelines: Pipelines = open_pipelines(settings, store, self.pack, shared)

    def assess(self, encoded: bytes) -> QualityAssessment | None:
        """Return the quality of the target face of an encoded image, or None if there is none."""
        image, faces = detect_all(self.pipelines.detection, encoded)
        if not faces:
            return None
        face = select_target(faces, image, MatchingStrategy.LARGEST, self.pack.detector.selection_confidence)
        return self.assessor.assess(image, face.landmarks)

    def measure(self, paths: Iterable[Path]) -> list[MeasuredFace]:
        """Measure the images with a face."""
        measured = []
        for path in sorted(paths):
            try:
                assessment = self.assess(_file(path))
            except ApiError:
                continue  # some are smaller than the service accepts
            if assessment:
                measured.append(MeasuredFace(path, assessment))
        return measured


def _file(path: Path) -> bytes:
    """Return the file, or a PNG of it if the service does not read its format."""
    if path.suffix != ".pgm":
        return path.read_bytes()
    return cv2.imencode(".png", np.asarray(cv2.imread(str(path))))[1].tobytes()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--sheets", type=Path)
    args = parser.parse_args()
    if not _DATA.is_dir():
        print("quality: skipped, ../shared/data does not exist")
        return
    cv2.setNumThreads(1)
    benchmark = QualityBenchmark()
    lfw = list((_DATA / "lfw").glob("*/*.jpg"))
    sets = {
        "LFW, held out": benchmark.measure(path for path in lfw if _is_held_out(path)),
        "LFW, used for training": benchmark.measure(path for path in lfw if not _is_held_out(path)),
        "London": benchmark.measure((_DATA / "london").glob("*/*.jpg")),
        "without mask": benchmark.measure((_DATA / "masks/without_mask").iterdir()),
        "without mask, face uncovered": benchmark.measure(
            path for path in (_DATA / "masks/without_mask").iterdir() if path.name not in _COVERED_WITHOUT_MASK
        ),
        "with mask": benchmark.measure((_DATA / "masks/with_mask").iterdir()),
        "AMFD": benchmark.measure((_DATA / "amfd").glob("*.jpg")),
        "dark (Yale B)": benchmark.measure((_DATA / "dark").iterdir()),
    }
    ladder_faces = [*sets["London"], *sets["LFW, held out"][::_LADDER_STEP]]
    result = {
        "covered": {name: covered(faces) for name, faces in sets.items()},
        "grades": {name: grades(faces) for name, faces in sets.items()},
        "quality_control_passes": {name: passing(faces) for name, faces in sets.items()},
        "measures": {name: measures(faces) for name, faces in sets.items()},
        "skin_and_brightness_London": skin(sets["London"]),
        "degraded_LFW_held_out": acceptance([face.path for face in sets["LFW, held out"]], benchmark.assess),
        "ladders": {name: ladder_response(benchmark, ladder_faces, *ladder) for name, ladder in _ladders().items()},
        "milliseconds": cost(benchmark, sets["London"][0].path, sets["LFW, held out"][0].path),
    }
    for title, rows in result.items():
        table(title.replace("_", " "), rows)
    write_json(args.json, result)
    if args.sheets:
        args.sheets.mkdir(parents=True, exist_ok=True)
        draw_sheets(args.sheets, [face for name in _SHEET_SETS for face in sets[name]])


def _is_held_out(path: Path) -> bool:
    return is_held_out(str(path.relative_to(_DATA / "lfw")))


def covered(faces: Sequence[MeasuredFace]) -> dict[str, Any]:
    """Return the percentage of faces with a covered region; with a 95 % interval for mouth or nose."""
    counts = Counter(region for face in faces for region in face.covered)
    mouth_or_nose = sum(bool(face.covered & {"covered mouth", "covered nose"}) for face in faces)
    rate = binomial(mouth_or_nose, len(faces))
    row: dict[str, Any] = {"faces": len(faces), "mouth_or_nose": _percent(mouth_or_nose, len(faces))}
    row["95 %"] = f"[{100 * rate.low:.1f}, {100 * rate.high:.1f}]"
    for region in ("eyebrows", "eyes", "nose", "cheeks", "mouth", "chin"):
        row[region] = _percent(counts[f"covered {region}"], len(faces))
    return row


def grades(faces: Sequence[MeasuredFace]) -> dict[str, Any]:
    """Return the percentage of faces with each grade."""
    counts = Counter(grade(face.quality) for face in faces)
    row: dict[str, Any] = {str(level): _percent(counts[level], len(faces)) for level in range(5)}
    return row | {"below_2": _percent(counts[0] + counts[1], len(faces))}


def passing(faces: Sequence[MeasuredFace]) -> dict[str, Any]:
    """Return the percentage of faces that each level accepts, under both policies."""
    return {
        f"{level} {policy.value}": _percent(sum(accepts(face.quality, level, policy) for face in faces), len(faces))
        for policy in QualityPolicy
        for level in range(1, 5)
    }


def measures(faces: Sequence[MeasuredFace]) -> dict[str, Any]:
    """Return the first, fifth and ninth decile of each measure."""
    row = {}
    for name in ("score", "sharpness", "brightness"):
        deciles = np.percentile([getattr(face.quality, name) for face in faces], (10, 50, 90))
        row[name] = " / ".join(f"{value:.0f}" for value in deciles)
    return row


def skin(faces: Sequence[MeasuredFace]) -> dict[str, dict[str, Any]]:
    """Return the brightness of studio faces by skin: the median luma of both cheeks."""
    rows = []
    for face in faces:
        if face.path.stem == "neutral":
            grey = cv2.cvtColor(face.assessment.crop.image, cv2.COLOR_BGR2GRAY)
            cheeks = np.concatenate([grey[108:140, 62:84].ravel(), grey[108:140, 140:162].ravel()])
            rows.append((float(np.median(cheeks)), face))
    rows.sort(key=lambda row: row[0])
    return {
        face.path.parent.name: {"luma_of_cheeks": round(luma), "brightness": face.quality.brightness}
        for luma, face in rows
    }


def _ladders() -> dict[str, tuple[Ladder, str]]:
    sharpness_ladders = SHARPNESS_LADDERS | HARMLESS_LADDERS
    return {
        **{f"sharpness: {name}": (ladder, "sharpness") for name, ladder in sharpness_ladders.items()},
        **{f"brightness: {name}": (ladder, "brightness") for name, ladder in BRIGHTNESS_LADDERS.items()},
    }


def ladder_response(
    benchmark: QualityBenchmark, faces: Sequence[MeasuredFace], ladder: Ladder, name: str
) -> dict[str, Any]:
    """Degrade each face step by step; return medians of the measure and its rank correlation with the steps."""
    columns, correlations = [], []
    for face in faces:
        crop = face.assessment.crop
        values = [
            _measure(benchmark, crop._replace(image=ladder.degrade(crop.image, step)), name) for step in ladder.steps
        ]
        columns.append(values)
        correlations.append(ladder.sign * spearman(ladder.steps, values))
    medians = np.median(np.array(columns), axis=0).astype(int)
    row: dict[str, Any] = {"faces": len(faces), "medians": " ".join(str(value) for value in medians)}
    row["spearman_mean"] = round(mean(correlations), 3) if ladder.sign else "–"
    row["spearman_lowest_5_%"] = round(float(np.quantile(correlations, 0.05)), 3) if ladder.sign else "–"
    row["median_change"] = round(median(max(values) - min(values) for values in columns), 1)
    return row


def _measure(benchmark: QualityBenchmark, crop: QualityCrop, name: str) -> int:
    value: int = getattr(benchmark.assessor.assess_crop(crop).quality, name)
    return value


def cost(benchmark: QualityBenchmark, studio: Path, small: Path) -> dict[str, dict[str, Any]]:
    """Return median milliseconds per image with each option; runs are interleaved."""
    requests: Mapping[str, CompareOptions] = {
        "plain": CompareOptions(),
        "QualityControl 1": CompareOptions(quality_control=1),
        "NeedRotateDetection 1": CompareOptions(rotate=True),
    }
    rows = {}
    for title, path in {"LFW, 250 x 250": small, "London, 1350 x 1350": studio}.items():
        data = path.read_bytes()
        runs: dict[str, list[float]] = {name: [] for name in requests}
        for _ in range(_COST_RUNS):
            for name, options in requests.items():
                runs[name].append(_milliseconds(benchmark, data, options))
        rows[title] = {name: round(median(durations), 1) for name, durations in runs.items()}
    return rows


def _milliseconds(benchmark: QualityBenchmark, data: bytes, options: CompareOptions) -> float:
    started = time.perf_counter()
    benchmark.pipelines.embedding.embed(data, options, StageTimer.after(60))
    return 1000 * (time.perf_counter() - started)


def draw_sheets(folder: Path, faces: Sequence[MeasuredFace]) -> None:
    """Draw for each level eight faces that only the level below accepts, and eight that no higher level accepts."""
    shuffled = [faces[row] for row in np.random.default_rng(0).permutation(len(faces))]
    for level in range(1, 5):
        rejected = [face for face in shuffled if grade(face.quality) == level - 1][:8]
        accepted = [face for face in shuffled if grade(face.quality) == level][:8]
        rows = [_row([_card(face) for face in row]) for row in (rejected, accepted)]
        cv2.imwrite(str(folder / f"level-{level}.png"), np.vstack(rows))


def _row(cards: Sequence[Image]) -> Image:
    row = np.full((_CARD_HEIGHT, 8 * SIDE, 3), 255, np.uint8)
    for column, card in enumerate(cards):
        row[:, column * SIDE : (column + 1) * SIDE] = card
    return row


def _card(face: MeasuredFace) -> Image:
    card = np.full((_CARD_HEIGHT, SIDE, 3), 255, np.uint8)
    card[:SIDE] = face.assessment.crop.image
    quality = face.quality
    lines = [f"S {quality.score} sh {quality.sharpness} br {quality.brightness} grade {grade(quality)}"]
    lines += [problem.text for problem in problems(quality)][:3]
    for index, line in enumerate(lines):
        cv2.putText(card, line, (4, 240 + 18 * index), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
    return card


def _percent(count: int, total: int) -> float:
    return round(100 * count / max(total, 1), 1)


if __name__ == "__main__":
    main()
