"""The task of a weight-sharing search on NAS-Bench-1Shot1: images of two parts, the supernet, and its price."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from statistics import fmean

from benchmarks.images.task import SearchImages
from benchmarks.nb1shot1 import macro as tables
from benchmarks.nb1shot1.clock import PassClock
from benchmarks.nb1shot1.executed import executed
from benchmarks.nb1shot1.footprint import footprint
from benchmarks.nb1shot1.space import NB1Shot1Space
from benchmarks.nb1shot1.supernet import SearchMacro, Supernet
from harness.errors import UserError
from harness.seeds import derive
from harness.training import Meter
from harness.weight_sharing import Active, Rules

_DIGITS = SearchMacro(width=tables.DIGITS.width, channels=tables.DIGITS.channels, depth=tables.DIGITS.depth)
MACROS = {"cifar10": (SearchMacro(), 32), "digits": (_DIGITS, tables.DIGITS.size)}
"""The supernet around the cell, and the side of its images in pixels."""
TABLES = {"cifar10": tables.PAPER, "digits": tables.DIGITS}
"""The networks that were trained for the tables."""


class NB1Shot1Task:
    """See :class:`harness.weight_sharing.Task`.

    The weights train on the first half of CIFAR-10's training images, and the architecture on the second half. Steps of the
    architecture iterate over the second half, as in the paper's code and in GAEA's.

    Args:
        dataset: ``cifar10`` or ``digits``.
        clock: seconds that the benchmark charges for a pass of one of its networks.
        world: seed of the order of the images, their augmentation and the initial weights.
        device: device of images and supernet.
        charge: the meter of the search.
    """

    rules, rate_factor = Rules(), 1.0

    def __init__(self, dataset: str, space: NB1Shot1Space, clock: PassClock, world: int, device: str, charge: Meter) -> None:
        data = SearchImages(dataset, "halves", "iterate", world, device)
        self.name, self.device, self.images = dataset, data.device, data.counts
        self.batches, self.pairs, self.plain = data.batches, data.pairs, data.plain
        self._macro, self._side = MACROS[dataset]
        self.classes = self._macro.classes
        self._space, self._world = space, world
        self._clock, self._meter = clock, charge

    def supernet(
        self,
        *,
        none: bool = True,
        edges: bool = True,
        partial: int = 1,
        track: bool = True,
        track_outside: bool = True,
        plain_last: bool = False,
        bias: bool = False,
        channels: int = 0,
    ) -> Supernet:
        """Return the paper's supernet; see :meth:`harness.weight_sharing.Task.supernet`.

        The space has no operation ``none``, inputs are always decisions, and all norms are alike, so ``none``, ``edges``,
        ``track_outside`` and ``plain_last`` have no effect.

        Raises:
            UserError: a bias is requested, or the channels are not divisible by ``partial``.
        """
        if bias:
            raise UserError("the convolutions of NAS-Bench-1Shot1 have no bias (conv_bias = true)")
        width = channels or self._macro.width
        if width % partial:
            raise UserError(f"{width} channels do not fall into {partial} equal parts (partial = {partial})")
        macro = replace(self._macro, width=width, partial=partial, track=track)
        size = footprint(macro, self._space.blocks, self._side)

        @lru_cache(maxsize=4096)
        def seconds(active: Active, training: bool) -> float:
            """Return the price of one image if all cells execute these options: that of the most expensive topology."""
            return float(self._clock.image(executed(self._space, active, TABLES[self.name], partial), training).max())

        def charge(cells: Sequence[Active], images: int, training: bool, meter: Meter) -> None:
            meter(
                seconds=images * fmean(seconds(active, training) for active in cells),
                epochs=images / self.images["train"] if training else 0.0,
                macs=images * size.macs_of(cells),
            )

        net = Supernet(self._space, macro, seed=derive("supernet", self._world), charge=charge, meter=self._meter)
        net.module.to(self.device)
        return net
