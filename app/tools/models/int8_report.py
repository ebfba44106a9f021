"""Accuracy and speed of a pack's int8 embedder on this machine, for ``compareface models optimize``.

The report has no effect: the engine checks the accuracy itself at every start.
"""

import time
from collections.abc import Sequence
from statistics import median

from app.packs.manifest import Pack
from app.packs.store import Store
from app.runtime.session import OrtSession
from app.settings import RuntimeSettings
from app.vision import int8_check
from app.vision.embed import Embedder

_RUNS = 30


def compare_int8(store: Store, pack: Pack, runtime: RuntimeSettings) -> str:
    """Return one line that compares the int8 embedder with the float one; the files of ``pack`` must be present."""
    spec, files = pack.embedder, store.resolve(pack)
    if spec.int8_file is None:
        return f"pack {pack.name} has no int8 model: none is known to be as accurate and faster"
    int8, float32 = (Embedder(OrtSession.open(files[name], "cpu", 1), spec) for name in (spec.int8_file, spec.file))
    cosine = int8_check.int8_agreement(int8, float32, spec.input_size)
    int8_ms, float32_ms = _median_milliseconds([int8, float32], spec.input_size)
    if cosine < spec.int8_min_cosine:
        usage = f"it is NOT used here, because the cosine must be at least {spec.int8_min_cosine}"
    elif spec.file_for(runtime) == spec.file:
        setting = "DEVICE" if runtime.device != "cpu" else "INT8"
        usage = f"it is not used because of COMPAREFACE_RUNTIME__{setting}"
    else:
        usage = "it is used; COMPAREFACE_RUNTIME__INT8=false switches it off"
    return (
        f"pack {pack.name}: {spec.int8_file} takes {int8_ms:.1f} ms per face instead of {float32_ms:.1f} (one thread), "
        f"with cosine {cosine:.4f} to {spec.file}; {usage}"
    )


def _median_milliseconds(embedders: Sequence[Embedder], side: int) -> list[float]:
    """Return the median duration of an embedding for each embedder, measured alternately."""
    crop = int8_check.synthetic_face(side)
    durations: list[list[float]] = [[] for _ in embedders]
    for _ in range(_RUNS):
        for milliseconds, embedder in zip(durations, embedders, strict=True):
            started = time.perf_counter()
            embedder.embed(crop)
            milliseconds.append(1000 * (time.perf_counter() - started))
    return [median(milliseconds) for milliseconds in durations]
