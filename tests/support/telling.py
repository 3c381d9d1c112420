"""The one layer of a checkpoint that tells what it was fed; checkpoints name it, so it has a module of its own."""

from typing import Any

import torch


class Telling(torch.nn.Module):
    """One box: x1, y1, x2, y2 = mean of channel 0, 1, 2 and of the first row of channel 0; confidence 0.5; class 1."""

    f, i, end2end = -1, 0, True

    def forward(self, images: Any) -> Any:
        means = images.mean(dim=(2, 3))
        row = images[:, :1, 0].mean(dim=2)
        rest = torch.tensor([[0.5, 1.0]]).expand(len(images), 2)
        return torch.cat([means, row, rest], dim=1)[:, None], {}


class EvenBatchesOnly(Telling):
    """Cannot take an odd number of frames."""

    def forward(self, images: Any) -> Any:
        images.reshape(-1, 2 * images[0].numel())
        return super().forward(images)


class Trap:
    """A pickle that writes a file when it is loaded."""

    def __init__(self, file: str) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return open, (self.file, "w")
