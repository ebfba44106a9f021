from __future__ import annotations

import threading

import pytest

from app.ops.offload import offload


@pytest.mark.parametrize(("size", "is_beside"), [(0, False), (2**17, False), (2**17 + 1, True), (None, True)])
async def test_much_is_worked_on_beside_the_event_loop_and_little_on_it(size: int | None, is_beside: bool) -> None:
    where = await offload(size, threading.get_ident)
    assert (where != threading.get_ident()) == is_beside


@pytest.mark.parametrize("size", [1, 2**20])
async def test_what_the_work_is_given_returns_and_raises_passes(size: int) -> None:
    assert await offload(size, divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await offload(size, divmod, 7, 0)
