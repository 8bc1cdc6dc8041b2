"""The network around a cell of NAS-Bench-101: number and width of its cells, size of its images. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

STACKS = 3
"""Number of stacks of cells. The image is halved between two stacks."""


@dataclass(frozen=True)
class Macro:
    """The network without the cell. The defaults are the paper's network for CIFAR-10."""

    width: int = 128
    """Channels of the first stack; each later stack has twice as many at half the size."""
    depth: int = 3
    """Cells per stack."""
    channels: int = 3
    """Channels of the input image."""
    size: int = 32
    """Height and width of the input image, pixels; a multiple of 4."""
    classes: int = 10
    stem: int = 3
    """Kernel of the stem's convolution: 3 (the paper) or 1."""

    def __post_init__(self) -> None:
        if self.stem not in (1, 3):
            raise ValueError(f"stem {self.stem} is no kernel of a stem; take 1 or 3")
        if self.size % 2 ** (STACKS - 1):
            raise ValueError(f"size {self.size} cannot be halved {STACKS - 1} times")

    @property
    def last(self) -> int:
        """Return the channels of the classifier's input."""
        return self.width << (STACKS - 1)

    def places(self) -> list[tuple[str, int, int, int]]:
        """Return (name, input channels, output channels, size) of every cell in order."""
        places, channels = [], self.width
        for stack in range(STACKS):
            for number in range(self.depth):
                places.append((f"stacks.{stack}.{number}", channels, self.width << stack, self.size >> stack))
                channels = self.width << stack
        return places


PAPER = Macro()
DIGITS = Macro(width=8, depth=1, channels=1, size=8, stem=1)
"""The network of nb1shot1/1-digits."""
