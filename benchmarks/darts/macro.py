"""The network around a cell: number and width of its cells, size of its images. This module imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, get_args

from benchmarks.darts.cell import Cell, surviving
from benchmarks.darts.space import cells
from harness.space import Arch

Stem = Literal["cifar", "imagenet", "imagenet_search"]
ExtraNorm = Literal["none", "pooling", "all"]
"""Operations without weights that have a batch norm: no operation, every pooling, or every pooling and every identity."""
STEM_WIDTH = 3
"""Channels of the stem on CIFAR, and in searches on ImageNet, as a multiple of those of the first cells."""


@dataclass(frozen=True)
class Macro:
    """An evaluation network without its cell. The defaults are the papers' for CIFAR-10."""

    width: int = 36
    """Channels of every operation in the first cells (C). Each reduction cell doubles them."""
    depth: int = 20
    """Number of cells (L); cells L // 3 and 2 L // 3 are reduction cells."""
    classes: int = 10
    channels: int = 3
    """Channels of the input image."""
    size: int = 32
    """Height and width of the input image, pixels."""
    stem: Stem = "cifar"
    """``cifar``: one 3x3 convolution to 3 C channels. ``imagenet``: three 3x3 convolutions of stride 2 to C channels, and to an
    eighth of the image's size. ``imagenet_search``: the same to 3 C channels, as in PC-DARTS' supernet."""
    auxiliary: bool = True
    """Whether a second classifier reads the output of cell 2 L // 3, in training only."""
    extra_norm: ExtraNorm = "none"
    """``none``: as in DARTS' network. ``pooling``: as in CoNAS' (D-60). ``all``: as in the one-stage network of ISTA-NAS."""

    def __post_init__(self) -> None:
        if self.depth < 1 or self.width < 2 or self.width % 2:
            raise ValueError(f"{self.depth} cells of {self.width} channels; take at least one cell, and an even width")
        if self.stem not in get_args(Stem):
            raise ValueError(f"stem {self.stem!r} is unknown; take 'cifar', 'imagenet' or 'imagenet_search'")
        if self.extra_norm not in get_args(ExtraNorm):
            raise ValueError(f"extra_norm {self.extra_norm!r} is unknown; take 'none', 'pooling' or 'all'")
        if self.size % self.shrinkage:
            raise ValueError(f"images of {self.size} pixels cannot be halved to a {self.shrinkage}th")
        if self.auxiliary and self.size // self.shrinkage < (8 if self.stem == "cifar" else 7):
            raise ValueError(f"images of {self.size} pixels are too small for the auxiliary head; take auxiliary=False")

    @property
    def reductions(self) -> frozenset[int]:
        """Numbers of the reduction cells."""
        return frozenset({self.depth // 3, 2 * self.depth // 3})

    @property
    def shrinkage(self) -> int:
        """Size of the image divided by the size of the last cell's output."""
        return (1 if self.stem == "cifar" else 8) << len(self.reductions)

    @property
    def stem_width(self) -> int:
        """Channels of the stem's output."""
        return self.width if self.stem == "imagenet" else STEM_WIDTH * self.width

    def for_data(self, classes: int, channels: int, size: int) -> Macro:
        """Return the same network for other images."""
        return replace(self, classes=classes, channels=channels, size=size)


CIFAR = Macro()
IMAGENET = Macro(width=48, depth=14, classes=1000, size=224, stem="imagenet")
"""The mobile setting on ImageNet."""


@dataclass(frozen=True)
class Place:
    """One cell of the network, with its inputs."""

    cell: Cell
    older: int
    """Channels of cell input 0. If ``older_larger``, its height and width are twice those of input 1."""
    newer: int
    """Channels of cell input 1."""
    width: int
    """Channels of every operation."""
    size: int
    """Height and width of cell input 1, pixels."""
    reduces: bool
    older_larger: bool

    def stride(self, source: int) -> int:
        """Return the stride of operations that read state ``source``: a reduction cell halves its inputs."""
        return 2 if self.reduces and source < 2 else 1

    @property
    def output_size(self) -> int:
        return self.size // 2 if self.reduces else self.size

    @property
    def outputs(self) -> int:
        """Channels of the cell's output, the concatenation of its surviving nodes."""
        return self.width * len(surviving(self.cell))


def places(arch: Arch, macro: Macro) -> Iterator[Place]:
    """Yield the cells of the network in order."""
    normal, reduce = cells(arch)
    older = newer = macro.stem_width
    large = macro.stem != "cifar"
    width, size, larger = macro.width, macro.size // (8 if large else 1), large
    for number in range(macro.depth):
        reduces = number in macro.reductions
        width *= 2 if reduces else 1
        place = Place(reduce if reduces else normal, older, newer, width, size, reduces, larger)
        yield place
        older, newer, size, larger = newer, place.outputs, place.output_size, reduces
