from app.tools.latency import latency_quantiles


def test_quantiles_are_rounded_and_named() -> None:
    assert latency_quantiles([1.0, 2.04, 3.0], max_ms=1.0) == {
        "median_ms": 2.0, "p90_ms": 2.8, "p99_ms": 3.0, "max_ms": 3.0,
    }  # fmt: skip


def test_without_values_there_are_no_quantiles() -> None:
    assert latency_quantiles([]) == {"median_ms": None, "p90_ms": None, "p99_ms": None}
