"""LFW and things to cover it -> ``models/quality/visibility.onnx`` and its record ``visibility.json``.

``python -m models.quality.train.visibility`` (an hour on two cores; ``--steps`` for less). Learns from the half of the
people of ``../shared/data/lfw`` that ``is_held_out`` leaves. LFW shows some sunglasses, hands and microphones that no
label tells, so a first network, trained a quarter as long, leaves out the faces of which it finds something covered.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from pathlib import Path

import cv2
import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from app.vision.quality.completeness import completeness
from app.vision.quality.visibility import INPUT_SIDE
from models.quality.train.faces import Faces, is_held_out
from models.quality.train.network import Network, Probabilities
from models.quality.train.samples import Samples

_FOLDER = Path(__file__).resolve().parents[1]
_BATCH, _RATE, _DECAY, _SEED = 64, 4e-3, 0.02, 0
_FIRST = 4
"""The first network takes this part of the steps."""
_SEEN = 80
"""Percent of each region that a face must show to be learned from as it is; brows are left to their hair."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=4800, help=f"of {_BATCH} samples")
    parser.add_argument("--workers", type=int, default=1, help="processes that make samples")
    parser.add_argument("--threads", type=int, default=1, help="threads that train")
    parser.add_argument("--cache", type=Path, default=Path("/tmp/compareface-faces.npz"), help="of the cut faces")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(_SEED)
    cv2.setNumThreads(1)
    started = time.monotonic()
    faces = Faces.of("lfw", args.cache)
    learned = faces.only(lambda row: not is_held_out(str(faces.names[row])))
    first, _ = train(learned, args.steps // _FIRST, args.workers, _SEED)
    clean = uncovered(first, learned)
    network, loss = train(clean, args.steps, args.workers, _SEED + 1)
    path = export(network)
    record = {
        "data": "../shared/data/lfw, the people of whom is_held_out is false",
        "pictures": len(learned.crops),
        "of_these_left_out_as_covered": len(learned.crops) - len(clean.crops),
        "samples": args.steps * _BATCH,
        "weights": sum(each.numel() for each in network.parameters()),
        "loss": round(loss, 4),
        "minutes": round((time.monotonic() - started) / 60),
        "torch": torch.__version__.split("+")[0],
        "seed": _SEED,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    (_FOLDER / "visibility.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(record, indent=1))


def train(faces: Faces, steps: int, workers: int, seed: int) -> tuple[Network, float]:
    """Return a network that has seen ``steps`` batches, and its loss on the last hundred."""
    network = Network().to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.AdamW(network.parameters(), _RATE, weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, steps, pct_start=0.1)
    losses = []
    began = time.monotonic()
    for step, (images, visible, weight) in enumerate(_loader(Samples(faces, seed, steps * _BATCH), workers), start=1):
        inputs = images.float().contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(inputs)[:, 0].float()
        loss = _loss(logits, visible, weight)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
        if step % 100 == 0:
            print(f"{step}/{steps}: loss {np.mean(losses[-100:]):.4f}, {time.monotonic() - began:.0f} s", flush=True)
    return network.eval(), float(np.mean(losses[-100:]))


def _loader(samples: Samples, workers: int) -> DataLoader[tuple[Tensor, Tensor, Tensor]]:
    return DataLoader(samples, _BATCH, num_workers=workers, prefetch_factor=4, worker_init_fn=_single_threaded)


def _single_threaded(worker: int) -> None:
    cv2.setNumThreads(1)


def _loss(logits: Tensor, visible: Tensor, weight: Tensor) -> Tensor:
    each = torch.nn.functional.binary_cross_entropy_with_logits(logits, visible, reduction="none")
    return (each * weight).sum() / weight.sum()


def uncovered(network: Network, faces: Faces) -> Faces:
    """Leave out the faces of which the network finds something covered besides the brows."""

    def is_whole(row: int) -> bool:
        shown = completeness(probabilities(network, faces.crops[row]))
        return min(shown.eye, shown.nose, shown.cheek, shown.mouth, shown.chin) >= _SEEN

    return faces.only(is_whole)


def probabilities(network: Network, crop: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return what the network makes of one crop: 56 x 56."""
    small = cv2.resize(crop, (INPUT_SIDE, INPUT_SIDE), interpolation=cv2.INTER_AREA)
    with torch.no_grad():
        batch = torch.from_numpy(np.ascontiguousarray(small.transpose(2, 0, 1)[None])).float()
        return np.asarray(torch.sigmoid(network(batch))[0, 0].numpy(), np.float32)


def export(network: Network) -> Path:
    """Write the network as ONNX, for batches of any size."""
    path = _FOLDER / "visibility.onnx"
    example = torch.zeros(1, 3, INPUT_SIDE, INPUT_SIDE)
    torch.onnx.export(
        Probabilities(network.to(memory_format=torch.contiguous_format)).eval(),
        (example,),
        str(path),
        input_names=["image"],
        output_names=["visible"],
        dynamic_axes={"image": {0: "batch"}, "visible": {0: "batch"}},
        opset_version=17,
        dynamo=False,
    )
    onnx.checker.check_model(str(path), full_check=True)
    return path


if __name__ == "__main__":
    main()
