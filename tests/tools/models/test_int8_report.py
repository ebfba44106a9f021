import pytest

from app.packs.manifest import Pack
from app.packs.store import Store
from app.settings import RuntimeSettings
from app.tools.models.int8_report import compare_int8


@pytest.mark.parametrize(
    ("runtime", "usage"),
    [
        (RuntimeSettings(), "it is used; COMPAREFACE_RUNTIME__INT8=false switches it off"),
        (RuntimeSettings(int8=False), "it is not used because of COMPAREFACE_RUNTIME__INT8"),
        (RuntimeSettings(device="cuda"), "it is not used because of COMPAREFACE_RUNTIME__DEVICE"),
    ],
)
def test_the_report_says_whether_the_int8_model_is_used(
    store: Store, pack: Pack, runtime: RuntimeSettings, usage: str
) -> None:
    report = compare_int8(store, pack, runtime)
    assert report.startswith("pack open: dlib_resnet_v1_capped_int8.onnx takes ")
    assert report.endswith(f" to dlib_resnet_v1_capped.onnx; {usage}")


def test_a_pack_without_an_int8_model_is_reported(store: Store, pack: Pack) -> None:
    assert compare_int8(store, pack.without_int8(), RuntimeSettings()).startswith("pack open has no int8 model")
