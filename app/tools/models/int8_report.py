"""``compareface models optimize``: what a pack's network in 8-bit integers gives on this machine, and in what time.

In: a pack whose files are there. Out: one line of text. The file itself is made as all others are (``models prepare``);
whether it runs is decided at every start, by the same comparison.
"""

from __future__ import annotations

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


def verdict(packs: Store, pack: Pack, runtime: RuntimeSettings) -> str:
    """Say whether the network in 8-bit integers is used here, and what for."""
    spec, files = pack.embedder, packs.resolve(pack)
    if spec.int8_file is None:
        return f"pack {pack.name} has no network in 8-bit integers: none is known to be as accurate and faster"
    small, whole = (Embedder(OrtSession.open(files[name], "cpu", 1), spec) for name in (spec.int8_file, spec.file))
    cosine = int8_check.int8_agreement(small, whole, spec.input_size)
    fast, slow = _milliseconds([small, whole], spec.input_size)
    if cosine < int8_check.MIN_COSINE:
        use = f"and must have {int8_check.MIN_COSINE}, so it is NOT used here"
    elif spec.file_on(runtime) == spec.file:
        setting = "DEVICE" if runtime.device != "cpu" else "INT8"
        use = f"but is not used: COMPAREFACE_RUNTIME__{setting} says so"
    else:
        use = "and is used; COMPAREFACE_RUNTIME__INT8=false keeps the other"
    return (
        f"pack {pack.name}: {spec.int8_file} takes {fast:.1f} ms a face instead of {slow:.1f} (one thread), "
        f"has cosine {cosine:.4f} with {spec.file} {use}"
    )


def _milliseconds(embedders: Sequence[Embedder], side: int) -> list[float]:
    """Return the median time of an embedding by each, taken in turns."""
    crop = int8_check.synthetic_face(side)
    taken: list[list[float]] = [[] for _ in embedders]
    for _ in range(_RUNS):
        for times, embedder in zip(taken, embedders, strict=True):
            started = time.perf_counter()
            embedder.embed(crop)
            times.append(1000 * (time.perf_counter() - started))
    return [median(times) for times in taken]
