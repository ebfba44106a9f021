"""The pack that a server starts with."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.environment import load_settings
from app.ops.process import shell_command
from app.packs import build
from app.packs.manifest import PackError
from app.packs.store import Store
from app.settings import ModelsSettings
from app.tools.models import pulling
from app.tools.models.preparing import prepare, prepare_best
from tests.packs.mirror import Mirror, serve_tiny

_RESULTS = Path(__file__).resolve().parents[3] / "benchmarks/results"


def _prepare_best(budget_s: float) -> str:
    return prepare_best(load_settings().models, budget_s)


@pytest.fixture
def preferred(weights: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    """Use the setting `auto`, with `tiny` as the preferred pack, whose licence needs no acceptance."""
    monkeypatch.setattr("app.packs.store.PREFERRED", "tiny")
    monkeypatch.setenv("COMPAREFACE_MODELS__PACK", "auto")
    with serve_tiny(weights / "catalogue", monkeypatch, needs_acceptance=False) as mirror:
        yield mirror


def test_a_server_starts_without_an_int8_model_that_cannot_be_built(
    weights_of_open: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ModelsSettings(pack="open", weights_dir=weights_of_open)
    (weights_of_open / "open" / "dlib_resnet_v1_capped_int8.onnx").unlink()

    def missing(*_: object) -> bytes:
        raise PackError("the package is not installed")

    monkeypatch.setattr(build, "build_from_package", missing)
    assert prepare_best(settings, 1) == "pack open is ready"
    (weights_of_open / "open" / "centerface.onnx").unlink()
    with pytest.raises(PackError, match="not installed"):
        prepare_best(settings, 1)


def test_auto_selects_the_preferred_pack_once_it_is_installed(preferred: Mirror) -> None:
    packs, pack = Store.with_selected_pack(load_settings().models)
    assert prepare(packs, pack).startswith("pack open is ready: built")
    assert preferred.requests == []
    assert _prepare_best(20) == "pack tiny is ready"
    assert Store.with_selected_pack(load_settings().models)[1].name == "tiny"


@pytest.mark.usefixtures("preferred")
def test_an_unexpected_error_with_the_preferred_pack_selects_the_fallback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("/secret/path")

    monkeypatch.setattr(pulling, "pull", fail)
    assert _prepare_best(20).startswith("pack open is ready")
    err = capsys.readouterr().err
    assert "unexpected RuntimeError" in err
    assert "secret" not in err


@pytest.mark.parametrize(
    ("pack", "message"),
    [
        (
            "auto",
            "^cannot get pack tiny .*unexpected RuntimeError.* trying out.* refuses the pack open: run `.* pull tiny",
        ),
        ("open", "^The pack open is for trying out.*COMPAREFACE_MODELS__REQUIRE_FIT refuses the pack open: run "),
    ],
)
@pytest.mark.usefixtures("preferred")
def test_a_refused_pack_is_not_announced(
    pack: str, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(pulling, "pull", fail)
    monkeypatch.setenv("COMPAREFACE_MODELS__PACK", pack)
    monkeypatch.setenv("COMPAREFACE_MODELS__REQUIRE_FIT", "true")
    with pytest.raises(PackError, match=message):
        _prepare_best(20)
    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("weights_of_open", "preferred")
@pytest.mark.parametrize(
    ("name", "value"),
    [("ALL_PROXY", "socks5://127.0.0.1:9"), ("SSL_CERT_FILE", "/nonexistent"), ("HTTPS_PROXY", "ftp://x:y")],
)
def test_invalid_proxy_and_certificate_variables_are_reported(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, value)
    _prepare_best(20)
    assert "proxy or certificate variables" in capsys.readouterr().err


@pytest.mark.usefixtures("preferred")
def test_a_changed_file_of_the_preferred_pack_is_an_error(weights: Path) -> None:
    _prepare_best(20)
    (weights / "tiny" / "embedder.onnx").write_bytes(b"changed")
    packs, pack = Store.with_selected_pack(load_settings().models)
    with pytest.raises(PackError, match=r"embedder\.onnx is changed"):
        packs.resolve(pack)


def _tar(name: str) -> float:
    """Return the measured TAR at score 50, which has FAR 1e-4."""
    result = json.loads((_RESULTS / f"accuracy-{name}.json").read_text(encoding="utf-8"))
    rows = result["tables"]["shipped calibration, all people"]
    return float(next(row for row in rows if (row["version"], row["score"]) == ("3.0", 50))["tar"][0])


@pytest.mark.usefixtures("weights_of_open")
def test_a_failed_download_of_the_preferred_pack_is_reported_with_its_cost_in_accuracy(
    preferred: Mirror, capsys: pytest.CaptureFixture[str]
) -> None:
    preferred.statuses = [503, 503]
    assert _prepare_best(20).startswith("pack open is ready")
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "using pack open" in err
    assert [f"{100 * _tar(name):.0f} %" in err for name in ("open", "omz")] == [True, True]
    assert "127.0.0.1 answered 503; example.invalid" in err  # once each: no retries
    assert err.endswith(f"To get tiny later: {shell_command('models pull tiny')}\n")
    assert preferred.requests == [("/tiny.zip", "")]


@pytest.mark.usefixtures("weights_of_open", "preferred")
def test_the_budget_limits_the_download_time(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulling, "pull", lambda *_: time.sleep(3))
    start = time.monotonic()
    _prepare_best(0.2)
    assert "not downloaded within 0.2 s" in capsys.readouterr().err
    assert time.monotonic() - start < 2.5


@pytest.mark.usefixtures("preferred")
def test_a_named_pack_is_not_downloaded() -> None:
    with pytest.raises(PackError, match="pull tiny"):
        prepare_best(ModelsSettings(pack="tiny"), 20)
