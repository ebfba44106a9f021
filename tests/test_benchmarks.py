"""The services that the benchmarks start."""

import asyncio

import pytest

from app.tools.bench.load import run_closed_loop
from benchmarks.services import BASELINE, STANDIN, image_sets, running_services


@pytest.mark.shared
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_the_baseline_and_ours_answer_the_same_requests() -> None:
    files = image_sets()["LFW, 250 px"][:4]
    with running_services([BASELINE, STANDIN]) as running:
        for subject in running.values():
            load = asyncio.run(run_closed_loop(subject.target(files), 2, 1.0))
            assert set(load.codes) == {"OK"}
            assert 50 < subject.resident_mib <= subject.peak_mib
