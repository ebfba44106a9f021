"""What the judgement of quality says of real pictures: masks, grades, ladders, light, cost.

``python -m benchmarks.quality [--json FILE] [--sheets FOLDER]`` on ``../shared/data``, pack ``open``, one thread.
``held out``: people of LFW from whom neither the visibility network nor the sharpness measure has learned.
``--sheets`` draws pictures on either side of each level of QualityControl, to be looked at.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any, NamedTuple

import cv2
import numpy as np

from app.domain import CompareOptions, Image, MatchingStrategy, Quality, QualityPolicy
from app.engine import Pipelines, open_pipelines, open_shared_models
from app.environment import Settings
from app.errors import ApiError
from app.ops.stage_timer import StageTimer
from app.packs.store import Store
from app.runtime.worker_pool import ThreadBudget
from app.scoring.intervals import binomial
from app.vision.quality.assess import QualityAssessment
from app.vision.quality.crop import SIDE, QualityCrop
from app.vision.quality.grade import accepts, grade, problems
from app.vision.selection import select
from benchmarks.tables import table
from models.quality.train.faces import is_held_out
from tests.support.degradations import HARMLESS, OF_BRIGHTNESS, OF_SHARPNESS, Ladder, spearman
from tests.support.pipelines import detect_all
from tests.support.rotation import SHARED

_DATA = SHARED / "data"
_BUDGET = ThreadBudget(workers=1, intra_op=1)
_CARD_HEIGHT = 300
_SHOWN = ("LFW, held out", "LFW, learned from", "London", "without mask", "with mask")
_LADDER_STEP, _COST_RUNS = 13, 40
_REALLY_COVERED = {
    "0_0_yuanshanshan_0006.jpg": "fingers",
    "1_0_anhu_0042.jpg": "shaving foam",
    "1_0_anhu_0200.jpg": "a fist",
    "1_0_luojin_0093.jpg": "paper",
    "2020-06-23-120048 (another copy).jpg": "a hand",
}
"""Pictures of ``without_mask`` in which, looked at, something else covers the mouth."""


class Judged(NamedTuple):
    """The compared face of a picture, and what is made of it."""

    path: Path
    assessment: QualityAssessment

    @property
    def quality(self) -> Quality:
        return self.assessment.quality

    @property
    def covered(self) -> set[str]:
        return {one.text for one in problems(self.quality) if one.text.startswith("covered")}


class Bench:
    """The real pipelines."""

    def __init__(self) -> None:
        settings = Settings()
        store = Store.of(settings.models)
        shared = open_shared_models(settings, _BUDGET)
        self.assessor = shared.assessor
        self.pack = store.pack("open")
        self.pipelines: Pipelines = open_pipelines(settings, store, self.pack, shared)

    def judge(self, paths: Iterable[Path]) -> list[Judged]:
        """QualityGate the pictures in which a face is found."""
        found = []
        for path in sorted(paths):
            try:
                image, faces = detect_all(self.pipelines.detection, _file(path))
            except ApiError:
                continue  # some are smaller than the service accepts
            if faces:
                face = select(faces, image, MatchingStrategy.LARGEST, self.pack.detector.selection_confidence)
                found.append(Judged(path, self.assessor.assess(image, face.landmarks)))
        return found


def _file(path: Path) -> bytes:
    """Return the file, or a PNG of it where the service does not read its format."""
    if path.suffix != ".pgm":
        return path.read_bytes()
    return cv2.imencode(".png", np.asarray(cv2.imread(str(path))))[1].tobytes()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--sheets", type=Path)
    args = parser.parse_args()
    if not _DATA.is_dir():
        print("quality: skipped, the folder ../shared/data is not here")
        return
    cv2.setNumThreads(1)
    bench = Bench()
    sets = {
        "LFW, held out": bench.judge(path for path in (_DATA / "lfw").glob("*/*.jpg") if _is_new(path)),
        "LFW, learned from": bench.judge(path for path in (_DATA / "lfw").glob("*/*.jpg") if not _is_new(path)),
        "London": bench.judge((_DATA / "london").glob("*/*.jpg")),
        "without mask": bench.judge((_DATA / "masks/without_mask").iterdir()),
        "of these, nothing covers": bench.judge(
            path for path in (_DATA / "masks/without_mask").iterdir() if path.name not in _REALLY_COVERED
        ),
        "with mask": bench.judge((_DATA / "masks/with_mask").iterdir()),
        "dark (Yale B)": bench.judge((_DATA / "dark").iterdir()),
    }
    few = [*sets["London"], *sets["LFW, held out"][::_LADDER_STEP]]
    result = {
        "covered": {name: covered(found) for name, found in sets.items()},
        "grades": {name: grades(found) for name, found in sets.items()},
        "quality_control_lets_through": {name: passing(found) for name, found in sets.items()},
        "measures": {name: measures(found) for name, found in sets.items()},
        "skin_and_brightness_London": skin(sets["London"]),
        "ladders": {name: climb(bench, few, *ladder) for name, ladder in _ladders().items()},
        "milliseconds": cost(bench, sets["London"][0].path, sets["LFW, held out"][0].path),
    }
    for title, rows in result.items():
        table(title.replace("_", " "), rows)
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if args.sheets:
        args.sheets.mkdir(parents=True, exist_ok=True)
        draw_sheets(args.sheets, [one for name in _SHOWN for one in sets[name]])


def _is_new(path: Path) -> bool:
    return is_held_out(str(path.relative_to(_DATA / "lfw")))


def covered(found: Sequence[Judged]) -> dict[str, Any]:
    """Shares of faces of which a region counts as covered, percent; with a 95 % interval for mouth or nose."""
    counts = Counter(region for one in found for region in one.covered)
    both = sum(bool(one.covered & {"covered mouth", "covered nose"}) for one in found)
    rate = binomial(both, len(found))
    row: dict[str, Any] = {"faces": len(found), "mouth_or_nose": _percent(both, len(found))}
    row["95 %"] = f"[{100 * rate.low:.1f}, {100 * rate.high:.1f}]"
    for region in ("eyebrows", "eyes", "nose", "cheeks", "mouth", "chin"):
        row[region] = _percent(counts[f"covered {region}"], len(found))
    return row


def grades(found: Sequence[Judged]) -> dict[str, Any]:
    """Percent of the faces with each grade."""
    counts = Counter(grade(one.quality) for one in found)
    row: dict[str, Any] = {str(each): _percent(counts[each], len(found)) for each in range(5)}
    return row | {"below_2": _percent(counts[0] + counts[1], len(found))}


def passing(found: Sequence[Judged]) -> dict[str, Any]:
    """Percent of the faces that each level lets through, under both policies."""
    return {
        f"{level} {policy.value}": _percent(sum(accepts(one.quality, level, policy) for one in found), len(found))
        for policy in QualityPolicy
        for level in range(1, 5)
    }


def measures(found: Sequence[Judged]) -> dict[str, Any]:
    """First, fifth and ninth decile of each measure."""
    row = {}
    for name in ("score", "sharpness", "brightness"):
        deciles = np.percentile([getattr(one.quality, name) for one in found], (10, 50, 90))
        row[name] = " / ".join(f"{value:.0f}" for value in deciles)
    return row


def skin(found: Sequence[Judged]) -> dict[str, dict[str, Any]]:
    """Brightness of studio faces, from the darkest skin to the lightest: the median luma of both cheeks."""
    rows = []
    for one in found:
        if one.path.stem == "neutral":
            grey = cv2.cvtColor(one.assessment.crop.image, cv2.COLOR_BGR2GRAY)
            cheeks = np.concatenate([grey[108:140, 62:84].ravel(), grey[108:140, 140:162].ravel()])
            rows.append((float(np.median(cheeks)), one))
    rows.sort(key=lambda row: row[0])
    return {
        one.path.parent.name: {"luma_of_cheeks": round(luma), "brightness": one.quality.brightness}
        for luma, one in rows
    }


def _ladders() -> dict[str, tuple[Ladder, str]]:
    return {
        **{f"sharpness: {name}": (ladder, "sharpness") for name, ladder in (OF_SHARPNESS | HARMLESS).items()},
        **{f"brightness: {name}": (ladder, "brightness") for name, ladder in OF_BRIGHTNESS.items()},
    }


def climb(bench: Bench, found: Sequence[Judged], ladder: Ladder, name: str) -> dict[str, Any]:
    """Worsen each face step by step: medians of the measure, and how well it follows."""
    columns, correlations = [], []
    for one in found:
        crop = one.assessment.crop
        values = [_measure(bench, crop._replace(image=ladder.worse(crop.image, step)), name) for step in ladder.steps]
        columns.append(values)
        correlations.append(ladder.sign * spearman(ladder.steps, values))
    medians = np.median(np.array(columns), axis=0).astype(int)
    row: dict[str, Any] = {"pictures": len(found), "medians": " ".join(str(value) for value in medians)}
    row["spearman_mean"] = round(mean(correlations), 3) if ladder.sign else "–"
    row["spearman_lowest_5_%"] = round(float(np.quantile(correlations, 0.05)), 3) if ladder.sign else "–"
    row["median_change"] = round(median(max(values) - min(values) for values in columns), 1)
    return row


def _measure(bench: Bench, crop: QualityCrop, name: str) -> int:
    value: int = getattr(bench.assessor.assess_crop(crop).quality, name)
    return value


def cost(bench: Bench, studio: Path, small: Path) -> dict[str, dict[str, Any]]:
    """Median milliseconds of one picture to its embedding, and what each switch adds; interleaved."""
    asked: Mapping[str, CompareOptions] = {
        "plain": CompareOptions(),
        "QualityControl 1": CompareOptions(quality_control=1),
        "NeedRotateDetection 1": CompareOptions(rotate=True),
    }
    rows = {}
    for title, path in {"LFW, 250 x 250": small, "London, 1350 x 1350": studio}.items():
        data = path.read_bytes()
        runs: dict[str, list[float]] = {name: [] for name in asked}
        for _ in range(_COST_RUNS):
            for name, options in asked.items():
                runs[name].append(_milliseconds(bench, data, options))
        rows[title] = {name: round(median(spent), 1) for name, spent in runs.items()}
    return rows


def _milliseconds(bench: Bench, data: bytes, options: CompareOptions) -> float:
    started = time.perf_counter()
    bench.pipelines.embedding.embed(data, options, StageTimer.after(60))
    return 1000 * (time.perf_counter() - started)


def draw_sheets(folder: Path, found: Sequence[Judged]) -> None:
    """For each level, eight faces that it refuses though the level below does not, and eight that it just lets pass."""
    shuffled = [found[row] for row in np.random.default_rng(0).permutation(len(found))]
    for level in range(1, 5):
        refused = [one for one in shuffled if grade(one.quality) == level - 1][:8]
        passed = [one for one in shuffled if grade(one.quality) == level][:8]
        rows = [_row([_card(one) for one in row]) for row in (refused, passed)]
        cv2.imwrite(str(folder / f"level-{level}.png"), np.vstack(rows))


def _row(cards: Sequence[Image]) -> Image:
    row = np.full((_CARD_HEIGHT, 8 * SIDE, 3), 255, np.uint8)
    for place, card in enumerate(cards):
        row[:, place * SIDE : (place + 1) * SIDE] = card
    return row


def _card(one: Judged) -> Image:
    card = np.full((_CARD_HEIGHT, SIDE, 3), 255, np.uint8)
    card[:SIDE] = one.assessment.crop.image
    quality = one.quality
    lines = [f"S {quality.score} sh {quality.sharpness} br {quality.brightness} grade {grade(quality)}"]
    lines += [problem.text for problem in problems(quality)][:3]
    for place, line in enumerate(lines):
        cv2.putText(card, line, (4, 240 + 18 * place), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
    return card


def _percent(count: int, of: int) -> float:
    return round(100 * count / max(of, 1), 1)


if __name__ == "__main__":
    main()
