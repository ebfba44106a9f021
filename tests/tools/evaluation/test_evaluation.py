import numpy as np
import pytest

from app.domain import FaceModelVersion
from app.scoring.calibration import Calibration
from app.scoring.similarity import cosine
from app.tools.evaluation.evaluation import THRESHOLDS, evaluate
from app.tools.evaluation.pairs import LabelledFaces, ListedPairs, PairCounts, count_listed_pairs
from tests.tools.evaluation.random_faces import random_faces


@pytest.fixture(scope="module")
def faces() -> LabelledFaces:
    return random_faces(100)


def _all_pairs(faces: LabelledFaces, *, has_people: bool) -> ListedPairs:
    pairs = np.array(np.triu_indices(len(faces.people), 1)).T
    people = np.array(faces.people)
    return ListedPairs(pairs, people[pairs[:, 0]] == people[pairs[:, 1]], has_people)


def test_every_threshold_has_the_rates_of_its_cosine(
    faces: LabelledFaces, counts: PairCounts, calibration: Calibration
) -> None:
    evaluation = evaluate(faces, counts, calibration)
    assert [(row.version, row.score) for row in evaluation.rows] == list(THRESHOLDS)
    for row in evaluation.rows:
        assert row.far.value == pytest.approx(counts.far(row.cosine), abs=1e-4)
        assert row.tar.value == pytest.approx(counts.tar(row.cosine), abs=2e-3)
        if row.version is FaceModelVersion.V3:
            assert evaluation.scale.score(row.cosine) == pytest.approx(row.score)


def test_the_hardest_impostors_are_the_pairs_with_the_highest_cosines(
    faces: LabelledFaces, counts: PairCounts, calibration: Calibration
) -> None:
    pairs, same, *_ = _all_pairs(faces, has_people=True)
    cosines = [cosine(faces.embeddings[a], faces.embeddings[b]) for a, b in pairs[~same]]
    hardest = evaluate(faces, counts, calibration).hardest
    assert [match.cosine for match in hardest] == pytest.approx(np.sort(cosines)[::-1][:20].tolist())
    for match in hardest:
        assert match.a.partition("/")[0] != match.b.partition("/")[0]


def test_listing_all_pairs_gives_the_evaluation_of_all_pairs(
    faces: LabelledFaces, counts: PairCounts, calibration: Calibration
) -> None:
    expected = evaluate(faces, counts, calibration)
    listed = evaluate(faces, counts, calibration, _all_pairs(faces, has_people=True))
    assert [match.cosine for match in listed.hardest] == pytest.approx([match.cosine for match in expected.hardest])
    for row, expected_row in zip(listed.rows, expected.rows, strict=True):
        assert list(row.far) == pytest.approx(list(expected_row.far), rel=1e-6)
        assert list(row.tar) == pytest.approx(list(expected_row.tar), rel=1e-6)


def test_listed_pairs_of_unknown_people_have_narrower_intervals(faces: LabelledFaces, calibration: Calibration) -> None:
    listed = _all_pairs(faces, has_people=False)
    counts = count_listed_pairs(faces.embeddings, listed)
    binomial = evaluate(faces, counts, calibration, listed).rows[0].far
    clustered = evaluate(faces, counts, calibration, listed._replace(has_people=True)).rows[0].far
    assert binomial.value == pytest.approx(clustered.value, abs=1e-5)
    assert binomial.high - binomial.low < clustered.high - clustered.low
