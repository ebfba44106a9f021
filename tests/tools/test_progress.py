"""Progress without a terminal."""

import pytest

from app.tools.progress import progress


def test_a_pipe_gets_a_line_with_rate_and_remaining_time_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("app.tools.progress._LINE_INTERVAL_S", 0.0)
    with progress(total=4, initial=1, description="Embedding", unit="image") as shown:
        shown.update(2)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Embedding: 1 of 4 images, ? images/s, ? remaining"
    assert lines[1].startswith("Embedding: 3 of 4 images, ")
    assert lines[1].endswith(" remaining")
    assert not any("\r" in text for text in lines)


def test_few_lines_are_printed_for_short_work(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress(range(1000), total=1000, description="Embedding", unit="image")) == list(range(1000))
    assert len(capsys.readouterr().err.splitlines()) <= 2
