"""Time limit of a pull; ``tests/cli/test_models.py`` covers licences, origins and the fallback pack."""

import threading

import pytest

from app.packs.manifest import PackError
from app.tools.models.pulling import _run_within

_TIMEOUT = PackError("not downloaded within 0.1 s")


def test_a_function_in_time_raises_nothing() -> None:
    calls: list[str] = []
    _run_within(10, lambda: calls.append("called"), _TIMEOUT)
    assert calls == ["called"]


def test_a_slow_function_raises_the_timeout() -> None:
    release = threading.Event()
    with pytest.raises(PackError, match=r"not downloaded within 0\.1 s"):
        _run_within(0.1, lambda: release.wait(30), _TIMEOUT)
    release.set()


@pytest.mark.parametrize(
    ("error", "message"),
    [(PackError("no such host"), "no such host"), (RuntimeError("/secret/path"), "^unexpected RuntimeError$")],
)
def test_a_failure_becomes_a_pack_error_without_internals(error: Exception, message: str) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(PackError, match=message):
        _run_within(10, fail, _TIMEOUT)
