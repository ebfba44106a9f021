"""Stage durations of a real image."""

import json
from pathlib import Path

import pytest

from app.cli import main
from tests.support.images import astronaut, jpeg, shrunk


def test_stage_durations_add_up_to_the_total(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(jpeg(shrunk(astronaut(), 256)))
    assert main(["bench", "stages", str(photo), "--json"]) == 0
    output = json.loads(capsys.readouterr().out)
    assert output["pack"] == "open"
    milliseconds = output["milliseconds"][str(photo)]
    stages = ["decode", "detect", "landmarks", "align", "embed"]
    assert list(milliseconds) == [*stages, "total", "networks"]
    assert 0.5 * milliseconds["total"] < sum(milliseconds[name] for name in stages) < 2 * milliseconds["total"]
    assert 0 < milliseconds["networks"] < 1.5 * milliseconds["total"]
