"""The network around a cell of NAS-Bench-201: number, width and image size of its cells. No weights, no PyTorch."""

from __future__ import annotations

from dataclasses import dataclass

STAGES = 3
"""Number of stages of cells. The image is halved between two stages."""


@dataclass(frozen=True)
class Macro:
    """The network without the cell. The defaults are the paper's network for CIFAR-10."""

    width: int = 16
    """Channels of the first stage; each later stage has twice as many at half the size."""
    depth: int = 5
    """Cells per stage."""
    channels: int = 3
    """Channels of the input image."""
    size: int = 32
    """Height and width of the input image, pixels; a multiple of 4."""
    classes: int = 10
    stem: int = 3
    """Kernel of the stem's convolution: 3 (the paper) or 1."""
    reduction: str = "residual"
    """``residual``: the paper's block of two 3x3 convolutions; ``pool``: 2x2 average pooling and a 1x1 convolution."""
    affine: bool = True
    """Whether the batch norms inside the cells have scale and shift; those outside always have."""

    def __post_init__(self) -> None:
        if self.stem not in (1, 3):
            raise ValueError(f"stem {self.stem} is no kernel of a stem; take 1 or 3")
        if self.reduction not in ("residual", "pool"):
            raise ValueError(f"reduction {self.reduction!r} is unknown; take 'residual' or 'pool'")
        if self.size % 2 ** (STAGES - 1):
            raise ValueError(f"size {self.size} cannot be halved {STAGES - 1} times")

    def stage(self, number: int) -> tuple[int, int]:
        """Return the channels and the image size of stage ``number`` (0, 1, 2)."""
        return self.width << number, self.size >> number


PAPER = Macro()
DIGITS = Macro(width=8, depth=1, channels=1, size=8, stem=1, reduction="pool")
"""The network of nb201/digits."""
