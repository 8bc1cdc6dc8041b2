"""The task of a weight-sharing search in the DARTS space: two halves of the training images, and the supernet.

No reference machine has timed this space. A search is therefore charged epochs and multiply-adds, but no seconds; its real
time is measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from benchmarks.darts.macro import Macro
from benchmarks.darts.subsampled_images import SubsampledImages
from benchmarks.darts.supernet import SEARCH, Supernet
from benchmarks.images.task import SearchImages
from harness.seeds import derive
from harness.training import Meter
from harness.weight_sharing import DeployableSupernet, Rules

MACROS = {
    "cifar10": SEARCH,
    "digits": Macro(width=8, depth=3, channels=1, size=8, auxiliary=False),
    "imagenet": Macro(width=16, depth=8, classes=1000, size=224, stem="imagenet_search", auxiliary=False),
}
"""By data set, the network of the supernet: the papers' on CIFAR-10 and on ImageNet, a small network on the digits."""


class DartsTask:
    """See :class:`harness.weight_sharing.Task`.

    The halves of CIFAR-10 are the first and the last 25 000 training images. Unless a method asks for
    another pairing, every step draws a new validation batch, as DARTS' code does. Those of ImageNet are
    :class:`benchmarks.darts.subsampled_images.SubsampledImages`.

    Args:
        dataset: ``cifar10``, ``digits`` or ``imagenet``.
        world: seed of the order of the images, their augmentation and the initial weights.
        device: device of images and supernet.
        charge: the meter of the search.
    """

    rules, rate_factor = Rules(), 1.0

    def __init__(self, dataset: str, world: int, device: str, charge: Meter) -> None:
        macro = MACROS[dataset]
        data: SearchImages | SubsampledImages
        if dataset == "imagenet":
            data = SubsampledImages(world, device, macro.size)
            macro = replace(macro, classes=data.classes)
        else:
            data = SearchImages(dataset, "halves", "redraw", world, device)
        self.name, self.device, self.images = dataset, data.device, data.counts
        self.batches, self.pairs, self.plain = data.batches, data.pairs, data.plain
        self._macro, self._world, self._meter, self.classes = macro, world, charge, macro.classes

    def supernet(
        self,
        *,
        none: bool = True,
        operations: Mapping[str, Sequence[str]] | None = None,
        track: bool = True,
        track_outside: bool = True,
        plain_last: bool = False,
        bias: bool = False,
        channels: int = 0,
        edges: bool = False,
        partial: int = 1,
        affine: bool = False,
        cells: int = 0,
        auxiliary: bool = False,
    ) -> DeployableSupernet:
        """Return the supernet of this data set; see :meth:`harness.weight_sharing.Task.supernet`.

        All norms of the space's code are alike, so ``track_outside`` and ``plain_last`` have no effect.

        Args:
            cells: number of cells; 0: as in searches (3 on the digits, 8 elsewhere). A network to deploy on ImageNet has the
                stem of trainings from scratch.
            auxiliary: the network has a second classifier on the output of cell ``2 cells // 3``.

        Raises:
            ValueError: a bias is requested; no convolution of this space has one.
        """
        if bias:
            raise ValueError("no convolution of the DARTS space has a bias")
        macro = replace(self._macro, width=channels or self._macro.width, depth=cells or self._macro.depth, auxiliary=auxiliary)
        if cells and macro.stem != "cifar":
            macro = replace(macro, stem="imagenet")
        net = Supernet(
            macro,
            none=none,
            operations=operations,
            edges=edges,
            partial=partial,
            affine=affine,
            track=track,
            seed=derive("supernet", self._world),
            charge=self._charge,
            meter=self._meter,
        )
        net.module.to(self.device)
        return net

    def _charge(self, macs: float, images: int, training: bool, meter: Meter) -> None:
        meter(epochs=images / self.images["train"] if training else 0.0, macs=images * macs)
