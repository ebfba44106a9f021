"""The visibility network, in torch: 112 x 112 BGR -> 56 x 56 logits of "nothing covers this cell".

Residual blocks (arXiv 1512.03385) down to 7 x 7 cells, whose receptive field is the whole face, and a feature pyramid
(arXiv 1612.03144) back up. Large maps have few channels to save time.
"""

import torch
from torch import Tensor, nn

_WIDTHS = (16, 48, 72, 88)
"""Channels at 56, 28, 14 and 7 cells."""
_BLOCKS = (0, 1, 1, 1)
_PYRAMID = (16, 32, 48)
"""Channels of the pyramid at 56, 28 and 14 cells."""


def _convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class _Residual(nn.Module):
    """Two convolutions with a skip connection."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.steps = nn.Sequential(
            _convolution(width, width), nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        )

    def forward(self, features: Tensor) -> Tensor:
        return torch.relu(features + self.steps(features))


class Network(nn.Module):
    """N x 3 x 112 x 112, float32, BGR 0-255 -> N x 1 x 56 x 56 logits."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, *_WIDTHS)
        self.stages = nn.ModuleList(
            nn.Sequential(_convolution(inputs, outputs, 2), *(_Residual(outputs) for _ in range(blocks)))
            for inputs, outputs, blocks in zip(widths[:-1], _WIDTHS, _BLOCKS, strict=True)
        )
        above = (*_PYRAMID[1:], _WIDTHS[-1])
        self.merges = nn.ModuleList(
            _convolution(width + coarser, outputs)
            for width, coarser, outputs in zip(_WIDTHS[:-1], above, _PYRAMID, strict=True)
        )
        self.head = nn.Conv2d(_PYRAMID[0], 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        features, levels = (images - 127.5) / 64, []
        for stage in self.stages:
            features = stage(features)
            levels.append(features)
        merged = levels.pop()
        for merge in reversed(self.merges):
            larger = nn.functional.interpolate(merged, scale_factor=2.0, mode="nearest")
            merged = merge(torch.cat([larger, levels.pop()], dim=1))
        logits: Tensor = self.head(merged)
        return logits


class Probabilities(nn.Module):
    """The exported network: probabilities instead of logits."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        return torch.sigmoid(self.network(images))
