"""Train ``models/quality/visibility.onnx`` on LFW and write its record ``visibility.json``.

``python -m models.quality.train.visibility`` takes an hour on two cores; ``--steps`` shortens it. The training data is
the half of the people of ``../shared/data/lfw`` for whom ``is_held_out`` is false. LFW has some unlabelled sunglasses,
hands and microphones. A first network, trained for a quarter of the steps, therefore excludes the faces on which it
detects covered regions.
"""

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

from app.vision.quality.visibility import INPUT_SIDE, measure_completeness
from models.quality.train.faces import Faces, is_held_out
from models.quality.train.network import Network, Probabilities
from models.quality.train.samples import Samples

_FOLDER = Path(__file__).resolve().parents[1]
_BATCH, _RATE, _DECAY, _SEED = 64, 4e-3, 0.02, 0
_FIRST_STEPS_DIVISOR = 4
"""The first network trains for ``--steps`` divided by it."""
_MIN_VISIBLE = 80
"""Percent of each region that must be visible in a training face; eyebrows are exempt, because hair covers them."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--steps", type=int, default=4800, help=f"training steps, each of {_BATCH} samples (%(default)s)"
    )
    parser.add_argument("--workers", type=int, default=1, help="processes that make samples (%(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="threads that train (%(default)s)")
    parser.add_argument(
        "--cache", type=Path, default=Path("/tmp/compareface-faces.npz"), help="file that caches the face crops"
    )
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(_SEED)
    cv2.setNumThreads(1)
    started = time.monotonic()
    faces = Faces.load("lfw", args.cache)
    training = faces.filtered(lambda row: not is_held_out(str(faces.names[row])))
    first, _ = train(training, args.steps // _FIRST_STEPS_DIVISOR, args.workers, _SEED)
    clean = without_covered(first, training)
    network, loss = train(clean, args.steps, args.workers, _SEED + 1)
    path = export(network)
    record = {
        "data": "../shared/data/lfw, the people for whom is_held_out is false",
        "images": len(training.crops),
        "excluded_as_covered": len(training.crops) - len(clean.crops),
        "samples": args.steps * _BATCH,
        "weights": sum(parameter.numel() for parameter in network.parameters()),
        "loss": round(loss, 4),
        "minutes": round((time.monotonic() - started) / 60),
        "torch": torch.__version__.split("+")[0],
        "seed": _SEED,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    (_FOLDER / "visibility.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(record, indent=1))


def train(faces: Faces, steps: int, workers: int, seed: int) -> tuple[Network, float]:
    """Return a network trained on ``steps`` batches, and its mean loss on the last 100."""
    network = Network().to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.AdamW(network.parameters(), _RATE, weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, steps, pct_start=0.1)
    losses = []
    started = time.monotonic()
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
            print(f"{step}/{steps}: loss {np.mean(losses[-100:]):.4f}, {time.monotonic() - started:.0f} s", flush=True)
    return network.eval(), float(np.mean(losses[-100:]))


def _loader(samples: Samples, workers: int) -> DataLoader[tuple[Tensor, Tensor, Tensor]]:
    return DataLoader(samples, _BATCH, num_workers=workers, prefetch_factor=4, worker_init_fn=_single_threaded)


def _single_threaded(worker: int) -> None:
    cv2.setNumThreads(1)


def _loss(logits: Tensor, visible: Tensor, weight: Tensor) -> Tensor:
    losses = torch.nn.functional.binary_cross_entropy_with_logits(logits, visible, reduction="none")
    return (losses * weight).sum() / weight.sum()


def without_covered(network: Network, faces: Faces) -> Faces:
    """Return the faces on which ``network`` detects no covered region except eyebrows."""

    def is_uncovered(row: int) -> bool:
        visible = measure_completeness(probabilities(network, faces.crops[row]))
        return min(visible.eye, visible.nose, visible.cheek, visible.mouth, visible.chin) >= _MIN_VISIBLE

    return faces.filtered(is_uncovered)


def probabilities(network: Network, crop: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the visibility map of one crop: 56 x 56."""
    resized = cv2.resize(crop, (INPUT_SIDE, INPUT_SIDE), interpolation=cv2.INTER_AREA)
    with torch.no_grad():
        batch = torch.from_numpy(np.ascontiguousarray(resized.transpose(2, 0, 1)[None])).float()
        return np.asarray(torch.sigmoid(network(batch))[0, 0].numpy(), np.float32)


def export(network: Network) -> Path:
    """Write the network as ONNX with a dynamic batch size; return the path."""
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
