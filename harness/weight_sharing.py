"""The contracts of weight sharing: what a benchmark offers to train on, whatever its search space.

A method reaches a :class:`Task` as ``view.task``. The task holds training and validation images, never a test image, and
builds the supernet. Everything random on this side (order of the images, their augmentation, the initial weights) comes from
the world's seed, so that methods compared in one world see the same; what an epoch holds depends on its number alone, so that
a resumed search sees what it would have seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from harness.problem import Arch

if TYPE_CHECKING:
    from torch import Tensor, device, nn

Active = tuple[tuple[tuple[int, ...], ...], ...]
"""Per decision and row, the options that are executed."""


class Decision(NamedTuple):
    """A table of architecture decisions: ``rows`` choices among the same ``options``."""

    name: str
    rows: int
    options: tuple[str, ...]
    kind: Literal["operation", "edge"] = "operation"
    """``operation``: options are operations on an edge or node; ``edge``: options are the inputs of a node."""


class Supernet(Protocol):
    """One network that holds every architecture of the space."""

    decisions: tuple[Decision, ...]
    module: nn.Module
    """Its weights and their training mode."""

    def __call__(
        self,
        images: Tensor,
        weights: Sequence[Tensor] | None = None,
        active: Active | None = None,
        *,
        straight_through: bool = False,
    ) -> Tensor:
        """Logits (batch, classes), and a charge for the pass: of training where gradients are on, else of evaluation.

        Args:
            images: (batch, channels, height, width).
            weights: one tensor (rows, options) per decision, or (batch, rows, options) for weights of each image's own; None:
                one for everything that is executed.
            active: what is executed; None: everything. What is not executed counts as weight zero.
            straight_through: an option that is not executed enters as its weight, a number (GDAS): its value is zero, its
                gradient is not.
        """
        ...

    def only(self, arch: Arch) -> Active:
        """What is executed where the supernet is to be the network of ``arch``."""
        ...

    def derive(self, scores: Sequence[Any]) -> Arch:
        """The space's rule from a table of scores per decision, higher being better, to an architecture."""
        ...


class Task(Protocol):
    """The training side of a weight-sharing search in one world."""

    name: str
    device: device
    classes: int
    images: dict[str, int]
    """How many images the parts ``train`` and ``valid`` have."""

    def supernet(self, **choices: Any) -> Supernet:
        """The space's supernet with this world's initial weights. What can be chosen is the space's; see its own docs."""
        ...

    def batches(self, part: str, batch: int, epoch: int, stream: str = "") -> Iterator[tuple[Tensor, Tensor]]:
        """Augmented images and labels of ``train``, ``valid`` or ``train+valid``, shuffled; the last batch may be smaller.

        Another ``stream`` shuffles independently.
        """
        ...

    def drawn(self, part: str, batch: int, epoch: int, steps: int) -> Iterator[tuple[Tensor, Tensor]]:
        """``steps`` augmented batches of ``part``, every image drawn uniformly with replacement."""
        ...

    def plain(self, part: str, batch: int, number: int) -> tuple[Tensor, Tensor]:
        """The ``number``-th batch of a once-shuffled ``part`` as it is evaluated, without augmentation, wrapping round."""
        ...
