"""The task of a weight-sharing search on NAS-Bench-201: images of two parts, the supernet, and its price."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from benchmarks.images.task import SearchImages
from benchmarks.nb201.clock import Clock
from benchmarks.nb201.macro import DIGITS, Macro
from benchmarks.nb201.network import macs
from benchmarks.nb201.space import EDGES, OPS
from benchmarks.nb201.supernet import Supernet
from harness.seeds import derive
from harness.training import Meter
from harness.weight_sharing import Rules

MACROS = {
    "cifar10": Macro(),
    "cifar100": Macro(classes=100),
    "imagenet16-120": Macro(size=16, classes=120),
    "digits": DIGITS,
}
"""The networks that were trained for the tables."""


class NB201Task:
    """See :class:`harness.weight_sharing.Task`.

    Args:
        dataset: ``cifar10``, ``cifar100``, ``imagenet16-120`` or ``digits``.
        clock: seconds that the benchmark charges for a pass.
        world: seed of the order of the images, their augmentation and the initial weights.
        device: device of images and supernet.
        charge: the meter of the search.
    """

    rules, rate_factor = Rules(), 1.0

    def __init__(self, dataset: str, clock: Clock, world: int, device: str, charge: Meter) -> None:
        data = SearchImages(dataset, "nb201", "partner", world, device)
        self.name, self.device, self.images = dataset, data.device, data.counts
        self.batches, self.pairs, self.plain = data.batches, data.pairs, data.plain
        self.classes = MACROS[dataset].classes
        self._world, self._macro = world, MACROS[dataset]
        bare = macs((0,) * len(EDGES), self._macro)
        self._macs = (bare, [macs((op, *(0,) * (len(EDGES) - 1)), self._macro) - bare for op in range(len(OPS))])
        self._clock, self._meter = clock, charge

    def supernet(
        self,
        *,
        none: bool = True,
        track: bool = False,
        track_outside: bool = True,
        plain_last: bool = False,
        bias: bool = False,
        affine: bool = False,
        normed: bool = False,
        channels: int = 0,
    ) -> Supernet:
        """Return the supernet with the macro network of this data set.

        Args:
            none: ``none`` is one of the options.
            track: the norms inside the cells keep running statistics for evaluation.
            track_outside: the norms of stem, residual blocks and classifier keep them, even if those inside do not (D-53).
            plain_last: the last norm is like those inside the cells (D-54).
            bias: the convolutions of the cells have a bias (D-01).
            affine: the norms inside the cells have scale and shift.
            normed: norms without scale also follow poolings, skip connections and cells.
            channels: channels of the first stage; 0: as in the table's networks (D-23).
        """
        macro = replace(self._macro, affine=affine, width=channels or self._macro.width)
        net = Supernet(
            macro,
            none=none,
            track=track,
            track_outside=track_outside,
            plain_last=plain_last,
            bias=bias,
            normed=normed,
            seed=derive("supernet", self._world),
            charge=self._charge,
            meter=self._meter,
        )
        net.module.to(self.device)
        return net

    def _charge(self, counts: Sequence[int], images: float, training: bool, meter: Meter) -> None:
        bare, of_op = self._macs
        meter(
            seconds=self._clock.seconds(counts, images, training),
            epochs=images / self.images["train"] if training else 0.0,
            macs=images * (bare + sum(n * cost for n, cost in zip(counts, of_op, strict=True))),
        )
