import threading

import pytest

from app.ops.offload import offload


@pytest.mark.parametrize(("size", "uses_thread"), [(0, False), (2**17, False), (2**17 + 1, True), (None, True)])
async def test_only_work_of_large_or_unknown_size_runs_in_a_thread(size: int | None, uses_thread: bool) -> None:
    thread = await offload(size, threading.get_ident)
    assert (thread != threading.get_ident()) == uses_thread


@pytest.mark.parametrize("size", [1, 2**20])
async def test_arguments_results_and_errors_are_passed_on(size: int) -> None:
    assert await offload(size, divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await offload(size, divmod, 7, 0)
