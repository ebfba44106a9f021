import tomllib

from app.domain import Population
from app.tools.evaluation.calibration_file import render
from tests.tools.evaluation.random_faces import grouped_calibration


def test_each_population_is_a_table_with_its_points_and_groups() -> None:
    calibration = grouped_calibration()
    document = tomllib.loads(render(calibration))
    assert list(document) == ["about", "general", "matched"]
    assert document["about"]["status"] == "partly extrapolated"
    assert "group" not in document["general"]
    assert [row["name"] for row in document["matched"]["group"]] == ["alike", "varied"]
    assert {row["group"] for row in document["matched"]["impostor"]} == {"alike"}
    for population, table in calibration.populations.items():
        assert document[population]["data"] == table.data
        assert [row["cosine"] for row in document[population]["impostor"]] == [p.cosine for p in table.impostor]


def test_comments_count_the_pairs_of_the_deciding_group() -> None:
    calibration = grouped_calibration()
    alike, _ = calibration.table(Population.MATCHED).groups
    matched = render(calibration).partition("[matched]")[2]
    assert f"far = 0.5  # {0.5 * alike.impostor_pairs:.4g} impostor pairs above" in matched
